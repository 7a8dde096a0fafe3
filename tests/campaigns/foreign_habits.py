"""Modules that break assumptions: interacting rows, noise, state, in-place writes, no submodules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.campaigns.foreign_cases import Case, module, rand

Mix = Callable[[Tensor], Tensor]


def between(mix: Mix) -> nn.Module:
    """Two layers with something between them."""
    parts = {"a": nn.Linear(4, 5), "act": nn.ReLU(), "b": nn.Linear(5, 3)}
    return module(lambda self, x: self.b(mix(self.act(self.a(x)))), **parts)


def mixing(name: str, mix: Mix, rows: int = 4) -> Case:
    return Case(name, lambda: (between(mix), rand(rows, 4)), rows)


def attend(h: Tensor) -> Tensor:
    return (h @ h.T).softmax(-1) @ h


def deviate(h: Tensor) -> Tensor:
    return h * h.var(0, correction=0).add(1e-3).sqrt().mean()


def route_by_rank(h: Tensor) -> Tensor:
    chosen = h[:, 0].topk(max(1, len(h) // 2)).indices
    return h.index_add(0, chosen, 2 * h[chosen])


def pairs(h: Tensor) -> Tensor:
    return h + 0.5 * h.view(-1, 2, h.shape[1]).flip(1).reshape_as(h) if len(h) % 2 == 0 else h


def quantise(h: Tensor) -> Tensor:
    step = h.abs().max() / 7
    return (h / step).round() * step


class Experts(nn.Module):
    """Each row goes to the expert that its own score chooses."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.experts = nn.Linear(4, 2), nn.ModuleList(nn.Linear(4, 3) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        choice, out = self.gate(x).argmax(-1), x.new_zeros(len(x), 3)
        for i, expert in enumerate(self.experts):
            if (choice == i).any():
                out[choice == i] = expert(x[choice == i])
        return out


class Variational(nn.Module):
    """Draws its latent."""

    def __init__(self) -> None:
        super().__init__()
        self.mean, self.decode = nn.Linear(4, 3), nn.Linear(3, 4)

    def forward(self, x: Tensor) -> Tensor:
        mean = self.mean(x)
        return self.decode(mean + torch.randn_like(mean))


class Stream(nn.Module):
    """Remembers what it saw."""

    def __init__(self, initialise_once: bool = False) -> None:
        super().__init__()
        self.fc, self.once = nn.Linear(4, 4), initialise_once
        self.seen: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        y = self.fc(x)
        if self.seen is None or not self.once:
            self.seen = y.detach().mean(0) + (0 if self.seen is None else self.seen)
        return y - self.seen


class Counter(nn.Module):
    """Counts its calls in a buffer, in evaluation mode too."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.fc(x) * self.calls


class OwnNoise(nn.Module):
    """Draws from a generator of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.random = nn.Linear(4, 4), torch.Generator().manual_seed(0)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x) + torch.randn(x.shape, generator=self.random, dtype=x.dtype)


class Fixed(nn.Module):
    """Has a buffer with one row per example."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 3)
        self.register_buffer("offset", rand(3, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x).add(self.offset).tanh()


class Dropped(nn.Module):
    """Functional dropout that forgets the mode."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 8), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.b(F.dropout(self.a(x)))


def noisy_by_numpy(h: Tensor) -> Tensor:
    return h + torch.from_numpy(np.random.randn(*h.shape))


def norm_of_batch() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5, track_running_stats=False), nn.Linear(5, 2)).double()


def writes_input() -> nn.Module:
    return module(lambda self, x: self.fc(x.mul_(2).add_(1)), fc=nn.Linear(4, 3))


def writes_relu() -> nn.Module:
    return nn.Sequential(nn.ReLU(inplace=True), nn.Linear(4, 3)).double()


def plain() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2)).double()


def compiled_inside() -> nn.Module:
    net = plain()
    net[0].compile(backend="eager")
    return net


def duplicates() -> nn.Module:
    net = nn.Sequential()
    net.add_module("a b", nn.Linear(4, 4))
    net.add_module("a_b", nn.Linear(4, 4))
    return net.double()


def same_site() -> nn.Module:
    part, other = nn.Linear(4, 4), nn.Linear(4, 4)
    net: Any = module(lambda self, x: self.get_submodule("a@2")(self.a(self.a(x))), a=part)
    net.add_module("a@2", other.double())
    return net


def cases() -> list[Case]:
    """Modules that need one condition at a time, common noise, a copy, or a refusal."""
    return [*interacting(), *noisy(), *refused()]


def interacting() -> list[Case]:
    """A row's result depends on the others, on their number, or on its place."""
    return [
        mixing("centred over the batch", lambda h: h - h.mean(0)),
        mixing("softmax over the batch", lambda h: h.softmax(0)),
        mixing("attention over the batch", attend),
        mixing("minibatch deviation", deviate),
        mixing("routing by rank", route_by_rank),
        mixing("pairs of rows", pairs),
        mixing("difference of neighbours", lambda h: h - h.roll(1, 0)),
        mixing("difference of rows in order", lambda h: h - F.pad(h, (0, 0, 1, 0))[:-1]),
        mixing("scaled by the largest of all", quantise),
        mixing("divided by the number of rows", lambda h: h / len(h)),
        mixing("one branch if any row is large", lambda h: h * 2 if (h > 3).any() else h),
        mixing("one branch if a row is all zero", lambda h: h * 2 if (h == 0).all(-1).any() else h, rows=1),
        mixing("own place in the batch", lambda h: h + torch.arange(len(h), dtype=h.dtype)[:, None]),
        Case("centred, one row", lambda: (between(lambda h: h - h.mean(0)), rand(1, 4)), 1),
        Case("batch statistics", lambda: (norm_of_batch(), rand(4, 4)), 4),
        Case("experts by score", lambda: (Experts().double(), rand(6, 4)), 6),
        Case("fixed number of rows", lambda: (Fixed().double(), rand(3, 4)), 3),
    ]


def noisy() -> list[Case]:
    """Noise, state and writes into the inputs."""
    return [
        Case("latent drawn", lambda: (Variational().double(), rand(3, 4)), 3),
        Case("functional dropout", lambda: (Dropped().double(), rand(3, 4)), 3),
        mixing("noise of numpy", noisy_by_numpy),
        Case("noise of its own", lambda: (OwnNoise().double(), rand(3, 4)), 3, refused=True),
        Case("stream", lambda: (Stream().double(), rand(3, 4)), 3, refused=True),
        Case("counter in a buffer", lambda: (Counter().double(), rand(3, 4)), 3, refused=True),
        Case("state set once", lambda: (Stream(initialise_once=True).double(), rand(3, 4)), 3),
        Case("input overwritten", lambda: (writes_input(), rand(3, 4)), 3),
        Case("input overwritten by a ReLU", lambda: (writes_relu(), rand(3, 4)), 3),
        Case("input with a gradient", lambda: (plain(), rand(3, 4).requires_grad_()), 3),
    ]


def refused() -> list[Case]:
    """Modules and examples that cannot be opened."""
    return [
        Case("scripted", lambda: (torch.jit.script(plain()), rand(3, 4)), 3, refused=True),
        Case("compiled", lambda: (torch.compile(plain(), backend="eager"), rand(3, 4)), 3, refused=True),
        Case("compiled inside", lambda: (compiled_inside(), rand(3, 4)), 3, refused=True),
        Case("meta device", lambda: (plain().to("meta"), rand(3, 4)), 3, refused=True),
        Case("no rows", lambda: (plain(), rand(0, 4)), 0, refused=True),
        Case("no tensors", lambda: (plain(), "text"), 1, refused=True),
        Case("not its input", lambda: (plain(), rand(3, 5)), 3, refused=True),
        Case("no parts", lambda: (nn.ReLU(), rand(3, 4)), 3, refused=True),
        Case("equal names", lambda: (duplicates(), rand(3, 4)), 3, refused=True),
        Case("a name that is a call", lambda: (same_site(), rand(3, 4)), 3, refused=True),
    ]
