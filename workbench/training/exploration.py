"""Epsilon-greedy exploration with a falling probability of random actions."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from workbench.core.errors import ConfigError


def epsilon_at(progress: float, start: float, end: float, share: float) -> float:
    """Interpolate the probability of a random action from `start` to `end` over the first `share` of training."""
    return start + (end - start) * min(1.0, progress / share)


def require_exploration(start: float, end: float) -> None:
    """Raise ConfigError unless exploration falls."""
    if end > start:
        raise ConfigError(f"epsilon_end={end} is above epsilon_start={start}. Choose up to {start}: exploration falls.")


def epsilon_greedy(q: Float[Tensor, "env action"], epsilon: float, rng: torch.Generator) -> Int[Tensor, " env"]:
    """Return the action with the largest Q in each row, or a uniformly random one with probability `epsilon`."""
    n, actions = q.shape
    anything = torch.randint(actions, (n,), generator=rng)
    return torch.where(torch.rand(n, generator=rng) < epsilon, anything, q.argmax(dim=1))


@dataclass(frozen=True)
class Repetition:
    """Last random action of each environment and the number of steps for which it is still repeated."""

    action: Int[Tensor, " env"]
    left: Int[Tensor, " env"]

    @classmethod
    def none(cls, n: int) -> Repetition:
        """Return the initial state, in which no action is repeated."""
        return cls(torch.zeros(n, dtype=torch.int64), torch.zeros(n, dtype=torch.int64))


def extended_epsilon_greedy(
    q: Float[Tensor, "env action"], epsilon: float, held: Repetition, longest: int, rng: torch.Generator
) -> tuple[Int[Tensor, " env"], Repetition]:
    """Choose actions as `epsilon_greedy`, repeating random ones for 1 to `longest` steps, all equally likely.

    Long repetitions reach states that single random steps do not, such as the top of a hill (Dabney et al. 2021).
    """
    n, actions = q.shape
    anything = torch.randint(actions, (n,), generator=rng)
    begins = (torch.rand(n, generator=rng) < epsilon) & (held.left == 0)
    lasts = torch.randint(1, longest + 1, (n,), generator=rng) if longest > 1 else torch.ones_like(anything)
    left, action = torch.where(begins, lasts, held.left), torch.where(begins, anything, held.action)
    return torch.where(left > 0, action, q.argmax(dim=1)), Repetition(action, (left - 1).clamp(min=0))
