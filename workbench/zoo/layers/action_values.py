"""What a Q-function says of each observation."""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor


class ActionValues(NamedTuple):
    """The return to expect from each action; `logits` and `value` let policies and Q-functions be asked alike."""

    q: Float[Tensor, "batch action"]

    @property
    def logits(self) -> Float[Tensor, "batch action"]:
        """The Q-values themselves: the likeliest action is the best one, the probabilities mean nothing."""
        return self.q

    @property
    def value(self) -> Float[Tensor, " batch"]:
        """The return to expect from the best action."""
        return self.q.max(dim=1).values
