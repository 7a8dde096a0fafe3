"""Tests of policy evaluation: every episode counts once, at any length."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests.training.corridor import LENGTH, corridors
from workbench.data.environments import make_vector
from workbench.training.policy_evaluation import evaluate_policy


def indifferent(observation: torch.Tensor) -> SimpleNamespace:
    return SimpleNamespace(logits=torch.zeros(len(observation), 2), value=torch.zeros(len(observation)))


def leaning(observation: torch.Tensor) -> SimpleNamespace:
    return SimpleNamespace(logits=torch.stack([-observation[:, 2], observation[:, 2]], 1), value=observation[:, 0])


def test_the_mean_is_that_of_the_starts_and_not_of_the_short_episodes() -> None:
    result = evaluate_policy(indifferent, lambda n: corridors(n, time_limit=100), episodes=60, seed=4)
    starts = (LENGTH * corridors(60).reset(seed=4)[0][:, 0]).round()
    torch.testing.assert_close(result.lengths, torch.from_numpy(LENGTH - starts).long())
    expected = [sum(range(int(p) + 1, LENGTH + 1)) / LENGTH for p in starts]
    assert result.returns.tolist() == pytest.approx(expected)
    assert result.mean == pytest.approx(np.mean(expected))
    low, high = result.score["interval"]
    assert low < result.mean < high and result.score["n"] == 60


@pytest.mark.parametrize("name", ["CartPole-v1", "workbench/CartPole-v1"])
def test_one_seed_gives_one_result_and_pairs_the_episodes(name: str) -> None:
    few, many, other = (
        evaluate_policy(leaning, lambda n: make_vector(name, n), episodes=n, seed=s)
        for n, s in ((5, 0), (9, 0), (9, 1))
    )
    assert few.returns.tolist() == many.returns[:5].tolist()
    assert many.returns.tolist() != other.returns.tolist()


def test_the_native_environment_gives_the_returns_of_gymnasiums() -> None:
    ours, theirs = (
        evaluate_policy(leaning, lambda n, name=name: make_vector(name, n), episodes=80, seed=0)
        for name in ("workbench/CartPole-v1", "CartPole-v1")
    )
    assert ours.score["interval"][0] < theirs.score["interval"][1]
    assert theirs.score["interval"][0] < ours.score["interval"][1]


def test_an_episode_without_end_counts_as_far_as_the_limit() -> None:
    full = evaluate_policy(leaning, lambda n: make_vector("workbench/CartPole-v1", n), episodes=20)
    cut = evaluate_policy(leaning, lambda n: make_vector("workbench/CartPole-v1", n), episodes=20, limit=30)
    assert full.lengths.max() > 30
    assert torch.equal(cut.lengths, full.lengths.clamp(max=30)) and torch.equal(cut.returns, full.returns.clamp(max=30))
