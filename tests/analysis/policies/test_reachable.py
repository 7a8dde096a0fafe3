"""Tests of maximizing observations, within bounds and among reachable states."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from tests.analysis.policies.worlds import policy
from workbench.analysis.policies.episodes import run_episodes
from workbench.analysis.policies.reachable import make_site_score, maximize_in_bounds, maximize_reachable
from workbench.core.errors import InputError
from workbench.data.environments import make_vector

MAKE = partial(make_vector, "workbench/CartPole-v1")
LOW, HIGH = torch.tensor([-2.0, -1, -3]), torch.tensor([1.0, 4, 0.5])


def test_within_bounds_a_linear_score_is_driven_to_its_corner() -> None:
    weight = torch.tensor([1.0, -2.0, 0.5])
    best = maximize_in_bounds(lambda x: x @ weight, LOW, HIGH)
    corner = torch.where(weight > 0, HIGH, LOW)
    torch.testing.assert_close(best.observation, corner)
    assert best.score == pytest.approx(float(corner @ weight))


def test_of_several_hills_the_highest_is_found() -> None:
    hills = torch.tensor([[0.5, 3.0, 0.0], [-1.5, 0.0, -2.0]])
    height = torch.tensor([1.0, 2.0])
    best = maximize_in_bounds(lambda x: (height * (-(x[:, None] - hills).square().sum(2)).exp()).sum(1), LOW, HIGH)
    torch.testing.assert_close(best.observation, hills[1], atol=0.05, rtol=0)
    with pytest.raises(InputError, match="finite"):
        maximize_in_bounds(lambda x: x.sum(1), LOW, torch.full((3,), torch.inf))


def test_a_unit_is_scored_by_its_activation() -> None:
    model, seen = policy(), torch.randn(6, 3)
    logits = model(seen).logits
    torch.testing.assert_close(make_site_score(model, "actor.hook_logits[action=1]")(seen), logits[:, 1])


def test_the_way_to_the_best_state_leads_there() -> None:
    """The rightmost cart, and the path replayed."""
    policy = lambda x: torch.stack([-x[:, 2] - x[:, 3], x[:, 2] + x[:, 3]], dim=1)
    found = maximize_reachable(lambda x: x[:, 0], policy, MAKE, list(range(64)), steps=150, generations=6)
    first = maximize_reachable(lambda x: x[:, 0], policy, MAKE, list(range(64)), steps=150, generations=1)
    assert found.path is not None and found.seed is not None
    way = iter(found.path)
    *_, last = run_episodes(lambda x, r: next(way)[None], MAKE(1), [found.seed], limit=len(found.path))
    seen = last.led_to[0]
    torch.testing.assert_close(seen, found.observation)
    assert found.score == pytest.approx(float(seen[0])) and found.score > max(first.score, 1.0)
