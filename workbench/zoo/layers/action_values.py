"""Output type of Q-functions."""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor


class ActionValues(NamedTuple):
    """Expected return of each action. `logits` and `value` let analyses treat policies and Q-functions alike."""

    q: Float[Tensor, "batch action"]

    @property
    def logits(self) -> Float[Tensor, "batch action"]:
        """The Q-values: their argmax is the greedy action, but their softmax is not a policy."""
        return self.q

    @property
    def value(self) -> Float[Tensor, " batch"]:
        """Expected return of the greedy action."""
        return self.q.max(dim=1).values
