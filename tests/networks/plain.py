"""Feed-forward networks of vectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.networks.network import Network, entry, vectors


class Functional(nn.Module):
    """Activations and joins as functions, in place and out."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.a(x))
        g = self.b(h)
        g += h
        g[:, :2] = g[:, :2] * 0.5
        return self.c(torch.cat([F.silu(g), h.tanh_()], dim=1))


class Gated(nn.Module):
    """A product of two branches."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.value, self.out = nn.Linear(6, 8), nn.Linear(6, 8), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.sigmoid(self.gate(x)) * self.value(x))


class Several(nn.Module):
    """Three outputs in a mapping and a tuple."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk, self.one, self.two = nn.Linear(6, 8), nn.Linear(8, 2), nn.Linear(8, 1)

    def forward(self, x: Tensor) -> dict[str, Any]:
        h = self.trunk(x).relu()
        return {"logits": self.one(h), "rest": (self.two(h)[:, 0], h)}


class Shared(nn.Module):
    """One layer used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.again, self.out = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x).relu()
        return self.out(self.again(self.again(h).relu()).relu())


class Points(nn.Module):
    """A set of points, pooled by the maximum (PointNet, Qi et al. 2017)."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.head = nn.Linear(3, 12), nn.Linear(12, 16), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.b(self.a(x).relu()).relu().amax(dim=1))


class Coder(nn.Module):
    """A variational autoencoder that decodes the mean."""

    def __init__(self) -> None:
        super().__init__()
        self.enc, self.mean, self.log_var = nn.Linear(10, 12), nn.Linear(12, 3), nn.Linear(12, 3)
        self.dec, self.out = nn.Linear(3, 12), nn.Linear(12, 10)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h = F.leaky_relu(self.enc(x))
        mean = self.mean(h)
        return torch.sigmoid(self.out(F.elu(self.dec(mean)))), mean, self.log_var(h)


class Duelling(nn.Module):
    """Value and advantages, joined."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk, self.value, self.advantage = nn.Linear(6, 16), nn.Linear(16, 1), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        h = self.trunk(x).relu()
        advantage = self.advantage(h)
        return self.value(h) + advantage - advantage.mean(dim=1, keepdim=True)


def batch_norm() -> nn.Module:
    """An MLP with a norm and dropout."""
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, 3))


def in_place() -> nn.Module:
    """An MLP whose first activation is written in place."""
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(inplace=True), nn.Linear(8, 8), nn.GELU(), nn.Linear(8, 3))


def generator() -> nn.Module:
    """A code laid out as maps, and a transposed convolution."""
    start = (nn.Linear(5, 32), nn.Unflatten(1, (8, 2, 2)), nn.BatchNorm2d(8), nn.ReLU())
    return nn.Sequential(*start, nn.ConvTranspose2d(8, 3, 4, 2, 1), nn.Tanh())


def plain() -> dict[str, Callable[[], Network]]:
    """Feed-forward networks of vectors."""
    return dict(
        [
            entry("mlp", "mlp_relu", lambda: nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)), vectors(6)),
            entry("mlp", "mlp_in_place", in_place, vectors(6)),
            entry("mlp", "mlp_batch_norm", batch_norm, vectors(6)),
            entry("mlp", "functional", Functional, vectors(6)),
            entry("mlp", "shared_layer", Shared, vectors(6)),
            entry("mlp", "several_outputs", Several, vectors(6)),
            entry("gated", "gated", Gated, vectors(6)),
            entry("gated", "glu", lambda: nn.Sequential(nn.Linear(6, 16), nn.GLU(), nn.Linear(8, 2)), vectors(6)),
            entry("autoencoder", "vae", Coder, vectors(10)),
            entry("set", "point_net", Points, lambda: torch.randn(4, 7, 3)),
            entry("q network", "duelling", Duelling, vectors(6)),
            entry("generator", "generator", generator, vectors(5)),
        ]
    )
