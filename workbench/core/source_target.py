"""The inputs of an encoder-decoder: two sequences in one value."""

from typing import NamedTuple

from jaxtyping import Int
from torch import Tensor


class SourceTarget(NamedTuple):
    """What an encoder-decoder reads: the sequence given, and as much of the other one as is known so far."""

    source: Int[Tensor, "batch source_pos"]
    target: Int[Tensor, "batch target_pos"]
