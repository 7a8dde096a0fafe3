"""Tests of classic control environments against gymnasium, step by step."""

from collections.abc import Callable
from functools import partial

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from workbench.core.errors import InputError
from workbench.data.environments import make_vector
from workbench.data.environments.acrobot import ACROBOT
from workbench.data.environments.cartpole import CARTPOLE
from workbench.data.environments.classic_control import Rules, VectorControl
from workbench.data.environments.mountain_car import MOUNTAIN_CAR

VectorCartPole = partial(VectorControl, CARTPOLE)
TASKS = {"CartPole-v1": CARTPOLE, "Acrobot-v1": ACROBOT, "MountainCar-v0": MOUNTAIN_CAR}


def good(name: str, state: np.ndarray) -> np.ndarray:
    """Actions that get somewhere: towards the pole, along the car's way, with the swing."""
    if name == "CartPole-v1":
        return (state[2] + 0.5 * state[3] > 0).astype(int)
    return np.where(state[1] >= 0, 2, 0) if name == "MountainCar-v0" else np.where(state[2] > 0, 0, 2)


@pytest.mark.parametrize(("name", "limit", "care"), [("CartPole-v1", 40, 0.4), ("Acrobot-v1", 90, 0.95),
                                                     ("MountainCar-v0", 122, 0.98)])  # fmt: skip
def test_every_step_is_gymnasiums_from_the_same_state(name: str, limit: int, care: float) -> None:
    """Twins: whenever a row is reset, gymnasium's environment is put in the same state."""
    ours, rng = VectorControl(TASKS[name], 8, max_episode_steps=limit), np.random.default_rng(0)
    theirs = [gymnasium.make(name, max_episode_steps=limit) for _ in range(8)]
    ours.reset(seed=0)
    for row, twin in enumerate(theirs):
        twin.reset(seed=0)
        twin.unwrapped.state = ours.state[:, row].copy()
    ends = {"terminated": 0, "truncated": 0}
    for _ in range(5 * limit):
        actions = np.where(rng.random(8) < care, good(name, ours.state), rng.integers(TASKS[name].n_actions, size=8))
        observation, reward, terminated, truncated, info = ours.step(actions)
        for row, twin in enumerate(theirs):
            expected, their_reward, their_end, their_timeout, _ = twin.step(int(actions[row]))
            assert (reward[row], terminated[row], truncated[row]) == (their_reward, their_end, their_timeout)
            seen = info["final_obs"] if their_end or their_timeout else observation
            np.testing.assert_allclose(seen[row], expected, rtol=2e-5, atol=1e-5)
            ends["terminated"] += their_end
            ends["truncated"] += their_timeout
            if their_end or their_timeout:
                twin.reset()
            twin.unwrapped.state = ours.state[:, row].copy()
    assert min(ends.values()) >= 3, "the test must see both kinds of end"


def test_an_episode_that_ends_starts_anew_in_the_same_step() -> None:
    envs = VectorCartPole(3)
    envs.reset(seed=1)
    for _ in range(60):
        observation, _, terminated, truncated, info = envs.step(np.array([0, 1, 0]))
        if not terminated.any():
            assert info == {}
            continue
        np.testing.assert_array_equal(info["_final_obs"], terminated | truncated)
        assert (np.abs(observation[terminated]) <= 0.05).all()
        assert (np.abs(info["final_obs"][terminated, 2]) > 0.2).all()
        assert (envs.elapsed[terminated] == 0).all()


def test_a_seed_decides_the_start_and_rows_differ() -> None:
    first, again, other = (VectorCartPole(4).reset(seed=s)[0] for s in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert (first != other).all()
    assert len(np.unique(first)) == first.size


def test_starts_are_spread_like_gymnasiums() -> None:
    starts = VectorCartPole(20_000).reset(seed=0)[0]
    assert np.abs(starts).max() <= 0.05
    np.testing.assert_allclose(starts.std(0), 0.1 / np.sqrt(12), rtol=0.02)
    np.testing.assert_allclose(starts.mean(0), 0, atol=0.001)


def test_a_restored_state_has_the_same_future() -> None:
    envs, actions = VectorCartPole(4), np.random.default_rng(2).integers(0, 2, (120, 4))
    envs.reset(seed=3)
    for action in actions[:40]:
        envs.step(action)
    saved = envs.get_state()
    futures = []
    for copy in (envs, VectorCartPole(4)):
        copy.set_state(saved)
        futures.append(np.stack([copy.step(action)[0] for action in actions[40:]]))
    np.testing.assert_array_equal(*futures)


@pytest.mark.parametrize("actions", [np.array([0, 2]), np.array([0, -1]), np.array([0])])
def test_actions_that_do_not_fit_are_refused(actions: np.ndarray) -> None:
    envs = VectorCartPole(2)
    envs.reset(seed=0)
    with pytest.raises(InputError, match="CartPole expects 2 actions of 0 to 1"):
        envs.step(actions)


@pytest.mark.parametrize("name", TASKS)
def test_gymnasium_makes_it_by_name(name: str) -> None:
    envs = make_vector(f"workbench/{name}", 5)
    theirs = gymnasium.make(name)
    assert isinstance(envs, VectorControl) and envs.rules.name == TASKS[name].name
    assert theirs.spec is not None and (envs.num_envs, envs.max_episode_steps) == (5, theirs.spec.max_episode_steps)
    assert envs.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert envs.single_observation_space == theirs.observation_space
    assert envs.single_action_space == theirs.action_space


@pytest.mark.parametrize(("name", "rules"), TASKS.items())
def test_a_list_of_seeds_starts_every_row_as_gymnasium_would(name: str, rules: Rules) -> None:
    make: Callable[[int], VectorControl] = partial(VectorControl, rules)
    ours, again = make(4).reset(seed=[3, 9, 3, 0])[0], make(1).reset(seed=[9])[0]
    theirs = np.stack([gymnasium.make(name).reset(seed=seed)[0] for seed in (3, 9, 3, 0)])
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    np.testing.assert_array_equal(ours[1], again[0])
