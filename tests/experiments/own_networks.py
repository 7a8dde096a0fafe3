"""A network and a metric of somebody's own, and a question about them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from tests.experiments.tiny_models import calls
from workbench.experiments.run import run_analysis


class Net(nn.Module):
    """One hidden layer, scaled by a plain attribute."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.first, self.last, self.scale = nn.Linear(4, 6), nn.Linear(6, 3), 1.0
        self.act: Callable[[Tensor], Tensor] = torch.relu

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.act(self.first(x)) * self.scale)


FACTOR = 1.0


def margin(output: Tensor) -> Tensor:
    """The first choice less the second."""
    return (output[:, 0] - output[:, 1]) * FACTOR


X = torch.randn(5, 4, generator=torch.Generator().manual_seed(1))


def ask(model: Any, inputs: Any = X, metric: Any = "logit") -> tuple[bool, Tensor]:
    """Ask for a share of the metric; return if it was computed, and the values."""
    before = len(calls)
    result = run_analysis("share", model, inputs, metric=metric, factor=1.0)
    return len(calls) > before, result.value


SOURCE = """
import torch

class Net(torch.nn.Module):
    def __init__(self, n, m):
        super().__init__()
        self.layer, self.out = torch.nn.Linear(n, 5), torch.nn.Linear(5, m)

    def forward(self, x):
        return self.out(self.layer(x.flatten(1)).relu())

def make(n=3, m=2):
    torch.manual_seed(0)
    return Net(n, m).eval()

def with_example():
    return make(), torch.eye(3)

def policy():
    return make(4, 2)

def pictures():
    return make(3 * 4 * 4, 2)

def digits():
    return make(64, 10)

def unseeded():
    return Net(3, 2)

def nothing():
    return 3

def fails():
    raise RuntimeError("no weights")
"""
