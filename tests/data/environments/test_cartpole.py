"""Our CartPole against gymnasium's, step by step."""

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from workbench.core.errors import InputError
from workbench.data.environments import make_vector
from workbench.data.environments.cartpole import VectorCartPole


def test_every_step_is_gymnasiums_from_the_same_state() -> None:
    """Twins: whenever a row is reset, gymnasium's environment is put in the same state."""
    ours, rng = VectorCartPole(8, max_episode_steps=40), np.random.default_rng(0)
    theirs = [gymnasium.make("CartPole-v1", max_episode_steps=40) for _ in range(8)]
    ours.reset(seed=0)
    for row, twin in enumerate(theirs):
        twin.reset(seed=0)
        twin.unwrapped.state = ours.state[:, row].copy()
    ends = {"terminated": 0, "truncated": 0}
    for _ in range(300):
        tilt = ours.state[2] + 0.5 * ours.state[3] > 0
        actions = np.where(rng.random(8) < 0.7, tilt, 1 - tilt).astype(int)
        observation, reward, terminated, truncated, info = ours.step(actions)
        for row, twin in enumerate(theirs):
            expected, their_reward, their_end, their_timeout, _ = twin.step(int(actions[row]))
            assert (reward[row], terminated[row], truncated[row]) == (their_reward, their_end, their_timeout)
            seen = info["final_obs"] if their_end or their_timeout else observation
            np.testing.assert_array_equal(seen[row], expected)
            ends["terminated"] += their_end
            ends["truncated"] += their_timeout
            if their_end or their_timeout:
                twin.reset()
                twin.unwrapped.state = ours.state[:, row].copy()
    assert min(ends.values()) > 5, "the test must see both kinds of end"


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
    with pytest.raises(InputError, match="2 actions of 0 or 1"):
        envs.step(actions)


def test_gymnasium_makes_it_by_name() -> None:
    envs = make_vector("workbench/CartPole-v1", 5)
    assert isinstance(envs, VectorCartPole)
    assert (envs.num_envs, envs.max_episode_steps) == (5, 500)
    assert envs.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    theirs = gymnasium.make("CartPole-v1")
    assert envs.single_observation_space == theirs.observation_space
    assert envs.single_action_space == theirs.action_space


def test_a_list_of_seeds_starts_every_row_as_gymnasium_would() -> None:
    ours, again = VectorCartPole(4).reset(seed=[3, 9, 3, 0])[0], VectorCartPole(1).reset(seed=[9])[0]
    theirs = np.stack([gymnasium.make("CartPole-v1").reset(seed=seed)[0] for seed in (3, 9, 3, 0)])
    np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(ours[1], again[0])
