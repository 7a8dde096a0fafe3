"""Epsilon-greedy exploration: a random action now and then, less and less often."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from workbench.core.errors import ConfigError


def epsilon_at(progress: float, start: float, end: float, share: float) -> float:
    """Probability of a random action: a straight line from `start` to `end` over the first `share` of training."""
    return start + (end - start) * min(1.0, progress / share)


def require_exploration(start: float, end: float, share: float) -> None:
    """Raises when `epsilon_at` cannot take these."""
    if not (0 <= end <= start <= 1 and 0 < share <= 1):
        raise ConfigError(
            f"epsilon_start={start}, epsilon_end={end} and epsilon_share={share} are no schedule. "
            "Choose 0 <= end <= start <= 1 and a share above 0, up to 1."
        )


def epsilon_greedy(q: Float[Tensor, "env action"], epsilon: float, rng: torch.Generator) -> Int[Tensor, " env"]:
    """The action with the largest Q in each row, or with probability `epsilon` any, all equally likely."""
    n, actions = q.shape
    anything = torch.randint(actions, (n,), generator=rng)
    return torch.where(torch.rand(n, generator=rng) < epsilon, anything, q.argmax(dim=1))
