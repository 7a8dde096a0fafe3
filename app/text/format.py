"""Numbers as one reads them: three significant digits, and what they are measured in."""

from __future__ import annotations

from math import isnan

from workbench.checkpoints.card import Score

TITLES = {
    "test_accuracy": "test accuracy",
    "validation_loss": "validation loss",
    "return_mean": "mean return",
    "bits_per_byte": "bits per byte",
    "phoneme_error": "phoneme error",
}


def short(value: float) -> str:
    """Three significant digits, with no needless zeros; large whole numbers with commas."""
    if isnan(value):
        return "not a number"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value == 0 or abs(value) >= 1e-3 else f"{value:.2e}"


def amount(count: int) -> str:
    """A count in thousands or millions: 4.81k, 10.7M."""
    for size, letter in ((1_000_000, "M"), (1_000, "k")):
        if count >= size:
            return f"{count / size:.3g}{letter}"
    return str(count)


def measured(name: str, value: float) -> str:
    """A metric's value in its usual unit."""
    if name.endswith(("accuracy", "error")):
        return f"{100 * value:.4g} %"
    return f"{short(value)} nats" if name.endswith(("loss", "divergence")) else short(value)


def title(name: str) -> str:
    """A metric's name in words."""
    return TITLES.get(name, name.replace("_", " "))


def detail(name: str, score: Score) -> str:
    """Interval and number of samples of a metric."""
    samples = f"n = {score.n:,}"
    if score.interval is None:
        return samples
    low, high = (measured(name, end) for end in score.interval)
    return f"95 %: {low} to {high}, {samples}"
