"""Formatting of numbers."""

from __future__ import annotations

from typing import SupportsFloat


def short(value: SupportsFloat) -> str:
    """Format with three significant digits, thousands separators and a true minus sign."""
    number = float(value)
    text = f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.3g}"
    return text.replace("-", "\N{MINUS SIGN}")


def percent(share: SupportsFloat) -> str:
    """Format a share as a percentage with three significant digits and at most two decimals."""
    return f"{short(round(100 * float(share), 2) + 0.0)} %"
