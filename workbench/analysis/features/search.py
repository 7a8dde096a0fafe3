"""Task and result of a search for maximizing inputs, and tools shared by the searches."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from workbench.analysis.features.target import Target
from workbench.core.errors import InputError
from workbench.core.random import generator


@dataclass(frozen=True)
class Search:
    """Settings and reference data of a search. Each unit has a random stream of its own."""

    target: Target
    reference: Shaped[Tensor, "batch *input"]
    natural: Float[Tensor, "batch every"]
    """Activation of every unit on each row of `reference`."""
    units: tuple[int, ...]
    steps: int
    seed: int
    fluent: bool = False
    """True if the log probability of a text is part of the objective."""

    @property
    def columns(self) -> Int[Tensor, " unit"]:
        """The units as an index tensor."""
        return torch.tensor(self.units, device=self.reference.device)

    def examples(self, n: int = 1) -> Int[Tensor, "unit rank"]:
        """Return the rows of the reference with the largest activations of each unit, in descending order."""
        return self.natural[:, self.columns].T.topk(min(n, len(self.reference)), dim=1).indices

    @property
    def best(self) -> Shaped[Tensor, "unit *input"]:
        """Natural input with the largest activation of each unit."""
        return self.reference[self.examples()[:, 0]]

    def streams(self, *labels: object) -> list[torch.Generator]:
        """Return one random generator per unit."""
        return [generator(self.seed, "maximization", self.target.site, unit, *labels) for unit in self.units]


@dataclass(frozen=True)
class Found:
    """Optimized input of each unit, its activation at the start, and after each step."""

    inputs: Shaped[Tensor, "unit *input"]
    start: Float[Tensor, " unit"]
    trace: Float[Tensor, "unit step"]


def compute_gradient(of: Float[Tensor, ""], at: list[Tensor]) -> list[Tensor]:
    """Return the gradient of a number with respect to some tensors; zero where it does not depend on them."""
    if not of.requires_grad:
        return [torch.zeros_like(x) for x in at]
    try:
        return list(torch.autograd.grad(of, at, allow_unused=True, materialize_grads=True))
    except RuntimeError as error:
        if "inplace" not in str(error):
            raise
        raise InputError(
            "The network overwrites a value that its own gradient needs, so no gradient can be computed. Make its "
            "in-place operations, such as ReLU(inplace=True) or +=, out of place."
        ) from error


def take_best_restart(
    values: Float[Tensor, "unit restart"], of: Shaped[Tensor, "unit restart *rest"]
) -> Shaped[Tensor, "unit *rest"]:
    """Select each unit's entry at its best restart."""
    return of[torch.arange(len(of), device=of.device), values.argmax(dim=1)]
