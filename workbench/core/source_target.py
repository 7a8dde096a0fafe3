"""Inputs of an encoder-decoder: two sequences in one value."""

from typing import NamedTuple

from jaxtyping import Int
from torch import Tensor


class SourceTarget(NamedTuple):
    """Source sequence, and the part of the target sequence that is known so far."""

    source: Int[Tensor, "batch source_pos"]
    target: Int[Tensor, "batch target_pos"]
