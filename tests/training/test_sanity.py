"""Tests of gradient norms and of training on a single batch."""

import pytest
import torch
from torch import nn

from workbench.training.sanity import gradient_norms


def test_gradient_norms_are_those_of_the_closed_form() -> None:
    model = nn.Linear(3, 2)
    x = torch.tensor([[1.0, 2.0, 2.0]])
    norms = gradient_norms(model, model(x).sum())
    assert norms == pytest.approx({"weight": (2 * 9) ** 0.5, "bias": 2**0.5})
    assert model.weight.grad is None


def test_a_layer_the_loss_does_not_reach_has_norm_zero() -> None:
    model = nn.ModuleDict({"used": nn.Linear(1, 1, bias=False), "idle": nn.Linear(1, 1, bias=False)})
    norms = gradient_norms(model, model["used"](torch.ones(1, 1)).sum())
    assert norms == {"used.weight": 1.0, "idle.weight": 0.0}
