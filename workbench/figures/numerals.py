"""Numbers in text."""

from __future__ import annotations


def short(value: float) -> str:
    """Three significant digits, thousands with commas, a true minus sign."""
    value = float(value)
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return text.replace("-", "\N{MINUS SIGN}")
