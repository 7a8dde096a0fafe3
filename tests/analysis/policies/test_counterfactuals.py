"""Tests of counterfactual states against the distance to a linear policy's decision boundary."""

from __future__ import annotations

import torch
from torch.testing import assert_close

from tests.analysis.policies.test_saliency import linear
from tests.analysis.policies.worlds import policy
from workbench.analysis.policies.counterfactuals import find_smallest_edit


def test_the_smallest_edit_of_a_linear_policy_is_the_distance_to_its_boundary() -> None:
    model, seen, scale = linear(), torch.randn(20, 3), torch.tensor([1.0, 2.0, 0.5])
    weight = (model.actor.readout.weight[1] - model.actor.readout.weight[0]).detach()
    found = find_smallest_edit(model, seen, scale)
    margin = (seen @ weight + (model.actor.readout.bias[1] - model.actor.readout.bias[0]).detach()).abs()
    assert_close(found.distance, margin / (weight * scale).norm(), atol=1e-4, rtol=1e-3)
    assert found.found.all() and (found.before != found.after).all()


def test_what_is_found_flips_and_a_little_less_does_not() -> None:
    model, seen = policy(4), torch.randn(30, 3)
    found = find_smallest_edit(model, seen, torch.ones(3))
    assert found.found.float().mean() > 0.8
    rows = found.found
    act = lambda x: model(x).logits.argmax(1)
    assert (act(found.changed[rows]) != found.before[rows]).all()
    less = torch.lerp(seen, found.changed, 0.999)
    assert (act(less[rows]) == found.before[rows]).all()
    random = seen[:, None] + 0.98 * found.distance[:, None, None] * torch.nn.functional.normalize(
        torch.randn(30, 50, 3), dim=2
    )
    flips = (act(random.flatten(0, 1)).reshape(30, 50) != found.before[:, None])[rows]
    assert flips.float().mean() < 0.1, "few other directions are shorter"


def test_bounds_are_kept() -> None:
    model, seen = linear(), torch.zeros(1, 3)
    found = find_smallest_edit(
        model, seen + 0.5, torch.ones(3), low=torch.full((3,), 0.4999), high=torch.full((3,), 0.5001)
    )
    assert ((found.changed >= 0.4998) & (found.changed <= 0.5002)).all()
