"""Cases of the campaign `foreign`: a module of another library with an input."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from workbench.core.module_run import Forward
from workbench.core.nested import tensors_in

Build = Callable[[], tuple[nn.Module, Any]]


@dataclass(frozen=True)
class Case:
    """How to build a module and an input for it; the batch has `rows` examples.

    `axes` are true names of some activations; `unknown` places (`axis1`) are allowed in them, other names are not.
    `refused` says that opening or sweeping must be refused.
    """

    name: str
    build: Build
    rows: int
    forward: Forward | None = None
    axes: Mapping[str, str] = field(default_factory=dict)
    refused: bool = False


def measure(rows: int) -> Callable[[Any], Tensor]:
    """One number per row of any output: a weighted sum of the first tensor that has the rows first."""

    def per_row(output: Any) -> Tensor:
        held = list(tensors_in(output)) or [x for x in vars(output).values() if isinstance(x, Tensor)]
        whole = next((x for x in held if x.ndim and len(x) == rows), held[0])
        flat = (whole.real if whole.is_complex() else whole).double()
        flat = flat.reshape(rows, -1) if whole.ndim and len(whole) == rows else flat.reshape(1, -1).expand(rows, -1)
        return flat @ torch.linspace(1, 2, flat.shape[1], dtype=torch.float64)

    return per_row


def module(run: Callable[..., Any], **parts: nn.Module) -> nn.Module:
    """A module with named parts and `run(self, inputs)` as its forward pass."""

    class Written(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for name, part in parts.items():
                self.add_module(name, part)

        def forward(self, *inputs: Any, **named: Any) -> Any:
            return run(self, *inputs, **named)

    return Written().double()


def rand(*shape: int, seed: int = 1) -> Tensor:
    """Normal numbers in double precision."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def ids(*shape: int, below: int = 31, seed: int = 1) -> Tensor:
    """Whole numbers below a limit."""
    return torch.randint(below, shape, generator=torch.Generator().manual_seed(seed))
