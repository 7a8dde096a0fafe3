"""Tests of n-step returns by hand and on known values."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from tests.training.corridor import DISCOUNT, LENGTH, corridor_value, corridors
from workbench.training.n_step import Recent, n_step
from workbench.training.rollouts import as_observation, next_states


def rounds(time_limit: int, count: int, envs: int = 64, seed: int = 0) -> list[Recent]:
    """Single rounds of corridors, in which every place has a known value whatever is done."""
    made = corridors(envs, time_limit)
    seen, played = as_observation(made.reset(seed=seed)[0]), []
    for _ in range(count):
        action = torch.zeros(envs, dtype=torch.int64)
        shown, reward, terminated, truncated, info = made.step(action.numpy())
        step = (
            seen, action, torch.as_tensor(reward, dtype=torch.float32), next_states(shown, info),
            torch.from_numpy(terminated.copy()), torch.from_numpy(terminated | truncated),
        )  # fmt: skip
        played.append(Recent(*(x[None] for x in step)))
        seen = as_observation(shown)
    return played


def windows(played: list[Recent], n: int) -> list[Recent]:
    """All n consecutive rounds there are."""
    recent, found = Recent.none(played[0].observation[0]), []
    for new in played:
        recent = recent.then(new, n)
        found += [copy.copy(recent)] if len(recent) == n else []
    return found


def known(observation: Tensor) -> Tensor:
    place = (observation[:, 0] * LENGTH).round().long().numpy()
    return torch.as_tensor(corridor_value(place), dtype=torch.float32)


@pytest.mark.parametrize("time_limit", [1, 2, 3, 20])
@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_each_sum_and_what_is_left_are_together_the_known_value(n: int, time_limit: int) -> None:
    """Wherever the n steps stop: in the middle, terminated, out of time, or both; the next episode never counts."""
    lengths = set()
    for recent in windows(rounds(time_limit, 12), n):
        found = n_step(recent, DISCOUNT)
        left = DISCOUNT**found.steps * known(found.following) * ~found.terminated
        assert_close(found.reward + left, known(found.observation))
        lengths |= set(found.steps.tolist())
    assert lengths == set(range(1, min(n, time_limit) + 1))


def test_a_single_step_is_left_as_it_was() -> None:
    for recent in windows(rounds(3, 4), 1):
        found = n_step(recent, 0.99)
        for name in ("observation", "action", "reward", "following", "terminated"):
            assert torch.equal(getattr(found, name), getattr(recent, name)[0])
        assert (found.steps == 1).all()


def test_three_steps_by_hand() -> None:
    """Four environments: none ends; the first step is the last; the second is, out of time; all three, terminated."""
    reward = torch.tensor([[1.0, 1, 1, 1], [2, 2, 2, 2], [4, 4, 4, 4]])
    done = torch.tensor([[0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]).bool()
    terminated = torch.tensor([[0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]]).bool()
    place = torch.arange(12.0).view(3, 4, 1)
    found = n_step(Recent(place, done.long(), reward, place + 100, terminated, done), 0.5)
    assert found.reward.tolist() == [3.0, 1.0, 2.0, 3.0]
    assert found.steps.tolist() == [3, 1, 2, 3]
    assert found.following[:, 0].tolist() == [108.0, 101.0, 106.0, 111.0]
    assert found.terminated.tolist() == [False, True, False, True]
    assert found.observation[:, 0].tolist() == [0.0, 1.0, 2.0, 3.0]
    assert found.action.tolist() == [0, 1, 0, 0]
