"""Scores for a card: a value, the number of samples it was measured on, and a 95 % interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.stats import binomtest
from torch import Tensor

from workbench.core.errors import ConfigError
from workbench.core.intervals import bootstrap_interval, resample

Z95 = 1.959963984540054
"""Half-width of a 95 % interval of the normal distribution, in standard errors."""
Interval = tuple[float, float]
Statistic = Callable[[Int[np.ndarray, " row"]], float]
"""Computes a figure from the samples with these numbers, some of which may occur several times."""


def share_score(is_right: Bool[Tensor, " sample"] | Sequence[bool]) -> dict[str, Any]:
    """Score the share of samples that are right, with Wilson's interval."""
    n, right = len(is_right), int(torch.as_tensor(is_right).sum())
    interval = wilson_interval(right, n)
    return {"value": right / n, "n": n, "interval": interval}


def wilson_interval(successes: int, n: int) -> Interval:
    """Compute the 95 % interval of a share (Wilson 1927), which stays within 0 and 1."""
    if n < 1:
        raise ConfigError("A share of nothing has no interval. Evaluate at least one example.")
    low, high = binomtest(successes, n).proportion_ci(method="wilson")
    return float(low), float(high)


def normal_interval(values: Float[Tensor, " sample"], mean: float | None = None) -> Interval | None:
    """Compute the 95 % interval of a mean of independent values by the normal approximation.

    Args:
        values: The values.
        mean: Centre of the interval in place of the values' own mean, if that counts more than these values.

    Returns:
        Both ends, or None for fewer than two values.
    """
    if len(values) < 2:
        return None
    centre = values.double().mean().item() if mean is None else mean
    half = Z95 * values.double().std().item() / math.sqrt(len(values))
    return centre - half, centre + half


def mean_score(values: Float[Tensor, " sample"]) -> dict[str, Any]:
    """Score a mean of independent values, with its normal interval."""
    return {"value": values.double().mean().item(), "n": len(values), "interval": normal_interval(values)}


def bootstrapped_mean(values: Float[Tensor, " sample"], seed: int) -> dict[str, Any]:
    """Score a mean with its bootstrap interval, which needs no normal distribution; a single value has none."""
    x = values.double()
    low, high = bootstrap_interval(lambda rows: x[rows].mean(dim=-1), len(x), seed=seed).tolist()
    return {"value": x.mean().item(), "n": len(x), "interval": (low, high) if len(x) > 1 else None}


def bootstrapped_score(statistic: Statistic, n: int, seed: int, draws: int = 1000) -> dict[str, Any]:
    """Score a figure that is computed from `n` samples, with its bootstrap interval, widened to hold the value."""
    value = float(statistic(np.arange(n)))
    low, high = bootstrap_interval(of_each_draw(statistic), n, seed=seed, draws=draws).tolist()
    return {"value": value, "n": n, "interval": (min(low, value), max(high, value))}


def biased_score(statistic: Statistic, n: int, seed: int, draws: int = 100) -> dict[str, Any]:
    """Score a figure that resampling biases, such as a distance: its value, plus and minus 1.96 standard errors."""
    value = float(statistic(np.arange(n)))
    half = Z95 * float(resample(of_each_draw(statistic), n, seed=seed, draws=draws)[2])
    return {"value": value, "n": n, "interval": (value - half, value + half)}


def of_each_draw(statistic: Statistic) -> Callable[[Int[Tensor, "draw row"]], Float[Tensor, " draw"]]:
    """Return the function that computes a statistic for each of several draws."""
    return lambda rows: torch.tensor([statistic(row) for row in rows.numpy()], dtype=torch.float64)
