"""What every search for a preferred input is given and gives back, whatever the inputs are."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from workbench.analysis.features.target import Target
from workbench.core.random import generator


@dataclass(frozen=True)
class Search:
    """Make these units of the target large in so many steps, starting from what is known of natural inputs.

    `natural` is every unit's activation on each row of `reference`. With `fluent`, text is to stay likely as well.
    Every unit draws its own random numbers, so that what is found for it does not depend on its company.
    """

    target: Target
    reference: Shaped[Tensor, "batch *input"]
    natural: Float[Tensor, "batch every"]
    units: tuple[int, ...]
    steps: int
    seed: int
    fluent: bool = False

    @property
    def columns(self) -> Int[Tensor, " unit"]:
        """The units as an index."""
        return torch.tensor(self.units, device=self.reference.device)

    def examples(self, n: int = 1) -> Int[Tensor, "unit rank"]:
        """The rows of the reference that each unit likes best, the strongest first."""
        return self.natural[:, self.columns].T.topk(min(n, len(self.reference)), dim=1).indices

    @property
    def best(self) -> Shaped[Tensor, "unit *input"]:
        """The natural input that each unit likes best."""
        return self.reference[self.examples()[:, 0]]

    def streams(self, *labels: object) -> list[torch.Generator]:
        """One source of random numbers for each unit."""
        return [generator(self.seed, "maximization", self.target.site, unit, *labels) for unit in self.units]


@dataclass(frozen=True)
class Found:
    """The input found for each unit, its activation at the start, and after each step."""

    inputs: Shaped[Tensor, "unit *input"]
    start: Float[Tensor, " unit"]
    trace: Float[Tensor, "unit step"]


def compute_gradient(of: Float[Tensor, ""], at: list[Tensor]) -> list[Tensor]:
    """The gradient of a number at some tensors, zero where it does not depend on them; no weight's is computed."""
    if not of.requires_grad:
        return [torch.zeros_like(x) for x in at]
    return list(torch.autograd.grad(of, at, allow_unused=True, materialize_grads=True))


def take_best_restart(
    values: Float[Tensor, "unit restart"], of: Shaped[Tensor, "unit restart *rest"]
) -> Shaped[Tensor, "unit *rest"]:
    """For each unit the entry of its best restart."""
    return of[torch.arange(len(of), device=of.device), values.argmax(dim=1)]
