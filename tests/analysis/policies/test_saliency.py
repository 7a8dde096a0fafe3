"""Tests of saliency on linear policies, grids and finite differences."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from tests.analysis.policies.worlds import first_number_policy, policy
from workbench.analysis.policies.saliency import compute_saliency, gradient_saliency, perturbation_saliency
from workbench.core.errors import InputError
from workbench.core.metrics import Correct, LogitDifference, Value
from workbench.zoo.actor_critic import ActorCritic, ActorCriticConfig


def linear(shape: tuple[int, ...] = (3,)) -> ActorCritic:
    trunk = "mlp" if len(shape) == 1 else "convolutional"
    model = ActorCritic(ActorCriticConfig(shape, 2, trunk, (), (), "relu", "shared")).eval()  # type: ignore[arg-type]
    torch.nn.init.normal_(model.actor.readout.weight)
    return model


def right_or_left(n: int) -> LogitDifference:
    return LogitDifference(torch.ones(n, dtype=torch.long), torch.zeros(n, dtype=torch.long))


@pytest.mark.parametrize("shape", [(3,), (2, 4, 3)])
def test_of_a_linear_policy_both_are_its_weights(shape: tuple[int, ...]) -> None:
    model, seen, other = linear(shape), torch.randn(6, *shape), torch.randn(shape)
    weight = (model.actor.readout.weight[1] - model.actor.readout.weight[0]).detach().reshape(shape)
    found = compute_saliency(model, seen, right_or_left(6), other)
    assert_close(found.gradient, weight.expand_as(seen))
    assert_close(found.perturbation, weight * (seen - other), atol=1e-5, rtol=1e-4)


def test_a_square_of_a_grid_goes_at_once() -> None:
    model, seen = linear((2, 4, 3)), torch.randn(1, 2, 4, 3)
    alone = perturbation_saliency(model, seen, right_or_left(1), torch.zeros(2, 4, 3))[0]
    square = perturbation_saliency(model, seen, right_or_left(1), torch.zeros(2, 4, 3), radius=1)[0]
    assert_close(square[1, 0, 0], alone[1, :2, :2].sum(), atol=1e-5, rtol=1e-4)
    assert_close(square[0, 2, 1], alone[0, 1:4, 0:3].sum(), atol=1e-5, rtol=1e-4)


def test_only_what_is_read_is_salient() -> None:
    seen = torch.randn(5, 3)
    found = compute_saliency(first_number_policy(), seen, right_or_left(5))
    for map_ in (found.gradient, found.perturbation):
        assert (map_[:, 1:] == 0).all() and (map_[:, 0] != 0).all()


def test_gradients_agree_with_small_differences() -> None:
    model, seen = policy(3).double(), torch.randn(4, 3, dtype=torch.float64)
    step = 1e-6 * torch.eye(3, dtype=torch.float64)
    slope = torch.stack([(model(seen + e).value - model(seen - e).value) / 2e-6 for e in step], dim=1)
    assert_close(gradient_saliency(model, seen, Value()), slope.detach(), atol=1e-6, rtol=1e-5)


def test_what_has_no_gradient_or_no_squares_is_refused() -> None:
    seen = torch.randn(4, 3)
    with pytest.raises(InputError, match="no gradient"):
        compute_saliency(policy(), seen, Correct(torch.zeros(4, dtype=torch.long)))
    with pytest.raises(InputError, match="radius applies only to grids"):
        perturbation_saliency(policy(), seen, Value(), radius=1)
