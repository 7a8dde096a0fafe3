"""Networks that know nothing of the workbench: each function returns one with an example, as a file of a user does."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Residual(nn.Module):
    """Convolution added to its input in place."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.conv(x))
        y += x
        return y.relu_()


def perceptron() -> tuple[nn.Module, Tensor]:
    """A perceptron of three layers."""
    torch.manual_seed(0)
    layers = nn.Linear(6, 16), nn.GELU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 4)
    return nn.Sequential(*layers), torch.randn(8, 6)


def residual() -> tuple[nn.Module, Tensor]:
    """A residual network that works in place."""
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 8, 3), Residual(8), Residual(8), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5)
    return nn.Sequential(*layers), torch.rand(6, 3, 10, 10)


def policy() -> tuple[nn.Module, Tensor]:
    """A policy of CartPole."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 2)), torch.zeros(2, 4)
