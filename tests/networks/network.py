"""Network for tests: a module, a valid example, and how to run it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Network:
    """A module, a valid example of four rows, and how to run it."""

    kind: str
    name: str
    module: nn.Module
    example: Any
    call: Callable[[Any], Any]


def made(kind: str, name: str, module: Callable[[], nn.Module], example: Callable[[], Any]) -> Network:
    """A network that takes one tensor."""
    torch.manual_seed(0)
    net = module().eval()
    return Network(kind, name, net, example(), net)


def entry(
    kind: str, name: str, module: Callable[[], nn.Module], example: Callable[[], Any]
) -> tuple[str, Callable[[], Network]]:
    return name, partial(made, kind, name, module, example)


def vectors(n: int) -> Callable[[], Tensor]:
    return lambda: torch.randn(4, n)


def pictures(channels: int = 3, size: int = 16) -> Callable[[], Tensor]:
    return lambda: torch.randn(4, channels, size, size)
