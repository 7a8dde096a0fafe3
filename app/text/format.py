"""Number formats: three significant digits and units."""

from __future__ import annotations

from math import isnan

from workbench.checkpoints.card import Score

TITLES = {"return_mean": "mean return"}
"""Names of metrics that are not their own words in order."""


def short(value: float) -> str:
    """Format to three significant digits; from 1,000 as a whole number with commas."""
    if isnan(value):
        return "not a number"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value == 0 or abs(value) >= 1e-3 else f"{value:.2e}"


def amount(count: int) -> str:
    """Format a count: 4.81k, 10.7M."""
    for size, letter in ((1_000_000, "M"), (1_000, "k")):
        if count >= size:
            return f"{count / size:.3g}{letter}"
    return str(count)


def count(number: int, noun: str) -> str:
    """Format a number of things: 1 row, 2,048 rows."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}{'es' if noun.endswith('s') else 's'}"


def write_score(name: str, value: float) -> str:
    """Format a metric's value with its unit."""
    if name.endswith(("accuracy", "error")):
        return f"{100 * value:.4g} %"
    return f"{short(value)} nats" if name.endswith(("loss", "divergence")) else short(value)


def title(name: str) -> str:
    """Return a metric's name in words."""
    return TITLES.get(name, name.replace("_", " "))


def detail(name: str, score: Score) -> str:
    """Format a metric's interval and number of samples."""
    samples = f"n = {score.n:,}"
    if score.interval is None:
        return samples
    low, high = (write_score(name, end) for end in score.interval)
    return f"95 %: {low} to {high}, {samples}"
