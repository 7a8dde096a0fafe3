"""Experience replay (Lin 1992): a buffer of the latest transitions, sampled at random."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from workbench.core.errors import ConfigError


@dataclass(frozen=True)
class Transitions:
    """Transitions in no particular order.

    `following` is the state after the step, before an automatic reset. With n-step returns, `reward` is the discounted
    sum of `steps` rewards and `following` the state after the last of them.
    """

    observation: Float[Tensor, "sample *observation"]
    action: Int[Tensor, " sample"]
    reward: Float[Tensor, " sample"]
    following: Float[Tensor, "sample *observation"]
    terminated: Bool[Tensor, " sample"]
    steps: Int[Tensor, " sample"]


class Replay:
    """Ring buffer of `capacity` transitions."""

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
        """Add transitions in place of the oldest; of more than `capacity`, only the last are kept."""
        count = len(new.action)
        places = (self.added + torch.arange(count)) % self.capacity
        last = slice(max(0, count - self.capacity), None)
        for name, kept in vars(self.kept).items():
            kept[places[last]] = getattr(new, name)[last]
        self.added += count

    def sample(self, size: int, rng: torch.Generator) -> Transitions:
        """Sample transitions with replacement."""
        rows = torch.randint(len(self), (size,), generator=rng)
        return Transitions(**{name: kept[rows] for name, kept in vars(self.kept).items()})
