import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from workbench.training.fit_config import FitConfig
from workbench.training.sanity import gradient_norms, overfit_one_batch


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


def test_one_batch_is_learned_by_heart() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 3))
    inputs, targets = torch.randn(16, 8), torch.randint(3, (16,))
    asked = []

    def batch(step: int) -> tuple[torch.Tensor, torch.Tensor]:
        asked.append(step)
        return inputs, targets

    curve = overfit_one_batch(model, batch, cross_entropy, FitConfig(steps=200, lr=0.01))
    assert asked == [0]
    assert curve.last("train_loss") < 0.01
