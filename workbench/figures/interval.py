"""How sure a mean over examples is, in words."""

from __future__ import annotations

from collections.abc import Iterable
from math import isnan
from typing import SupportsFloat

from workbench.core.intervals import FEW
from workbench.figures.numerals import short


def between(ends: Iterable[SupportsFloat]) -> str:
    """The two ends of a 95 % interval in brackets, after the number they belong to; nothing where there is none."""
    low, high = (float(end) for end in ends)
    return "" if isnan(low) else f" (95 % interval {short(low)} to {short(high)})"


def over(n: int) -> str:
    """How many examples a mean is over."""
    return f"over {n} example{'s' * (n > 1)}"


def caution(n: int) -> str:
    """What to add to a sentence where there are few examples, else nothing."""
    if n >= FEW:
        return ""
    reason = "there is no interval" if n < 2 else f"intervals over fewer than {FEW} examples are too narrow"
    return f"; n = {n} is small: {reason}"
