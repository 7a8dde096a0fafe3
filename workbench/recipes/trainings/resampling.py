"""Intervals of sampled figures that are no plain mean: the samples are drawn again, with replacement."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Int

from workbench.core.random import derived_seed
from workbench.training.supervised import Z95

Rows = Int[np.ndarray, " row"]


def resampled(statistic: Callable[[Rows], float], n: int, seed: int, draws: int = 1000) -> dict[str, Any]:
    """Score a figure that is computed from `n` samples, with its 95 % bootstrap interval (Efron 1979).

    Args:
        statistic: Computes the figure from the samples of these numbers, some of which come several times.
        n: Number of samples.
        seed: Seeds the resampling.
        draws: Number of resamples.

    Returns:
        `value`, of all samples; `n`; and `interval`, the percentiles over the resamples.
    """
    low, high = np.quantile(over_resamples(statistic, n, seed, draws), [0.025, 0.975])
    value = float(statistic(np.arange(n)))
    return {"value": value, "n": n, "interval": (min(float(low), value), max(float(high), value))}


def resampled_spread(statistic: Callable[[Rows], float], n: int, seed: int, draws: int = 100) -> dict[str, Any]:
    """Score a figure that resampling biases, such as a distance: its value, within 1.96 standard errors."""
    value, spread = float(statistic(np.arange(n))), float(np.std(over_resamples(statistic, n, seed, draws), ddof=1))
    return {"value": value, "n": n, "interval": (value - Z95 * spread, value + Z95 * spread)}


def over_resamples(statistic: Callable[[Rows], float], n: int, seed: int, draws: int) -> np.ndarray:
    """The figure of many resamples."""
    rng = np.random.default_rng(derived_seed(seed, "resampling"))
    return np.array([statistic(rng.integers(0, n, n)) for _ in range(draws)])
