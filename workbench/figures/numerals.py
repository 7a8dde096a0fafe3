"""Numbers in text."""

from __future__ import annotations

from typing import SupportsFloat


def short(value: SupportsFloat) -> str:
    """Three significant digits, thousands with commas, a true minus sign."""
    number = float(value)
    text = f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.3g}"
    return text.replace("-", "\N{MINUS SIGN}")


def percent(share: SupportsFloat) -> str:
    """A share in percent, three significant digits and none behind the second after the point."""
    return f"{short(round(100 * float(share), 2) + 0.0)} %"
