"""Text for the uncertainty of a mean: its 95 % interval, number of examples, and a warning if they are few."""

from __future__ import annotations

from collections.abc import Iterable
from math import isnan
from typing import SupportsFloat

from workbench.core.intervals import FEW
from workbench.figures.numerals import short


def write_interval(ends: Iterable[SupportsFloat]) -> str:
    """Write a 95 % interval in brackets, to follow the number it belongs to; empty if there is none."""
    low, high = (float(end) for end in ends)
    return "" if isnan(low) else f" (95 % interval {short(low)} to {short(high)})"


def write_count(n: int) -> str:
    """Write the number of examples that a mean is over."""
    return f"over {n} example{'s' * (n > 1)}"


def warn_of_few(n: int) -> str:
    """Write a remark if there are few examples; empty if there are enough."""
    if n >= FEW:
        return ""
    reason = "there is no interval" if n < 2 else f"intervals over fewer than {FEW} examples are too narrow"
    return f"; n = {n} is small: {reason}"
