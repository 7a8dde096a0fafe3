"""Experience replay (Lin 1992): the latest transitions, to be drawn from at random."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from workbench.core.errors import ConfigError


@dataclass(frozen=True)
class Transitions:
    """Steps in no order: what was seen and done, what came of it, and whether the episode terminated there.

    `following` is the state the step led to, never the one after an automatic reset. What came of it may be the sum
    of several `steps`, the later ones discounted (see `n_step`); it led to the state after the last of them.
    """

    observation: Float[Tensor, "sample *observation"]
    action: Int[Tensor, " sample"]
    reward: Float[Tensor, " sample"]
    following: Float[Tensor, "sample *observation"]
    terminated: Bool[Tensor, " sample"]
    steps: Int[Tensor, " sample"]


class Replay:
    """A ring of `capacity` transitions: new ones take the place of the oldest."""

    def __init__(self, capacity: int, observation: tuple[int, ...]) -> None:
        if capacity < 1:
            raise ConfigError(f"A replay of capacity {capacity} remembers nothing. Choose 1 or more.")
        self.kept = Transitions(
            torch.zeros(capacity, *observation),
            torch.zeros(capacity, dtype=torch.int64),
            torch.zeros(capacity),
            torch.zeros(capacity, *observation),
            torch.zeros(capacity, dtype=torch.bool),
            torch.ones(capacity, dtype=torch.int64),
        )
        self.capacity, self.added = capacity, 0

    def __len__(self) -> int:
        return min(self.added, self.capacity)

    def add(self, new: Transitions) -> None:
        """Remembers transitions; when there are more than the capacity, the last of them."""
        count = len(new.action)
        places = (self.added + torch.arange(count)) % self.capacity
        last = slice(max(0, count - self.capacity), None)
        for name, kept in vars(self.kept).items():
            kept[places[last]] = getattr(new, name)[last]
        self.added += count

    def sample(self, size: int, rng: torch.Generator) -> Transitions:
        """So many of the transitions there are, each drawn from all of them."""
        rows = torch.randint(len(self), (size,), generator=rng)
        return Transitions(**{name: kept[rows] for name, kept in vars(self.kept).items()})
