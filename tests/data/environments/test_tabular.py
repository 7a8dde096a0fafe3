"""Tests of tabular environments against gymnasium's tables and steps."""

import gymnasium
import numpy as np
import pytest
import torch

from workbench.core.errors import ConfigError, InputError
from workbench.data.environments import make, make_vector, native_name
from workbench.data.environments.tabular import VectorTable, read_mdp

TABLES = ("FrozenLake-v1", "Taxi-v4", "CliffWalking-v1")


@pytest.mark.parametrize("name", TABLES)
def test_every_step_is_one_that_gymnasiums_table_allows(name: str) -> None:
    table, rng = gymnasium.make(name).unwrapped.P, np.random.default_rng(0)
    envs = VectorTable(name, 32, max_episode_steps=25)
    state = envs.reset(seed=0)[0].argmax(1)
    ends = np.zeros(2)
    for _ in range(100):
        actions = rng.integers(envs.single_action_space.n, size=32)
        shown, reward, terminated, truncated, info = envs.step(actions)
        after = info.get("final_obs", shown).argmax(1)
        for row in range(32):
            allowed = [tuple(map(float, outcome[1:])) for outcome in table[state[row]][actions[row]]]
            assert (float(after[row]), float(reward[row]), float(terminated[row])) in allowed
        ends += terminated.sum(), truncated.sum()
        state = shown.argmax(1)
    assert ends[1] > 3 and (ends[0] > 3 or name != "FrozenLake-v1"), "the test must see both kinds of end"


def test_outcomes_are_as_likely_as_the_table_says() -> None:
    envs = VectorTable("FrozenLake-v1", 30_000)
    envs.reset(seed=0)
    shown, *_ = envs.step(np.full(30_000, 2))
    np.testing.assert_allclose(shown.mean(0)[[0, 1, 4]], [1 / 3] * 3, atol=0.01)
    starts = VectorTable("Taxi-v4", 30_000).reset(seed=1)[0].mean(0)
    np.testing.assert_allclose(starts, read_mdp("Taxi-v4").start, atol=0.002)


@pytest.mark.parametrize("name", TABLES)
def test_the_rules_are_probabilities_and_expected_rewards(name: str) -> None:
    world = read_mdp(name)
    assert world.start.sum() == pytest.approx(1)
    assert (world.transition >= 0).all() and (world.transition.sum(-1) <= 1 + 1e-12).all()
    env = make(name)
    state = int(env.reset(seed=3)[0].argmax())
    gained = np.mean([_step(env, seed, 1) for seed in range(60)])
    assert world.reward[state, 1] == pytest.approx(gained, abs=0.05) or name == "Taxi-v4"


def _step(env: gymnasium.Env, seed: int, action: int) -> float:
    env.reset(seed=seed)
    return float(env.step(action)[1])


def test_states_are_shown_one_hot_by_gymnasiums_environments_too() -> None:
    for name in TABLES:
        theirs, ours = make_vector(name, 2), make_vector(native_name(name), 2)
        assert theirs.single_observation_space.shape == ours.single_observation_space.shape
        shown, _ = theirs.reset(seed=0)
        assert shown.shape == (2, read_mdp(name).start.numel()) and (shown.sum(1) == 1).all()
    shown, _ = make("Taxi-v4").reset(seed=0)
    assert shown.sum() == 1 and shown.shape == (500,)


def test_the_limit_of_time_is_gymnasiums() -> None:
    for name, limit in (("FrozenLake-v1", 100), ("Taxi-v4", 200), ("CliffWalking-v1", 2**31)):
        envs = make_vector(native_name(name), 1)
        assert isinstance(envs, VectorTable) and envs.max_episode_steps == limit


def test_rows_of_equal_seed_have_equal_episodes() -> None:
    envs = VectorTable("FrozenLake-v1", 6, max_episode_steps=9)
    shown, _ = envs.reset(seed=[3, 5, 4, 3, 5, 4])
    seen = []
    for _ in range(30):
        seen.append(shown)
        shown = envs.step(np.full(6, 2))[0]
    seen = np.stack(seen)
    np.testing.assert_array_equal(seen[:, :3], seen[:, 3:])
    assert (seen[:, 0] != seen[:, 1]).any()


def test_what_is_no_table_or_no_action_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"CartPole-v1 has no transition table P"):
        read_mdp("CartPole-v1")
    envs = VectorTable("FrozenLake-v1", 2)
    envs.reset(seed=0)
    with pytest.raises(InputError, match="2 actions of 0 to 3"):
        envs.step(np.array([0, 4]))


def test_expected_rewards_of_the_slippery_lake_are_one_third_at_most() -> None:
    world = read_mdp("FrozenLake-v1")
    assert world.reward.max() == pytest.approx(1 / 3)
    assert torch.allclose(world.transition[0, 2].nonzero()[:, 0], torch.tensor([0, 1, 4]))
