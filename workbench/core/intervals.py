"""Intervals of statistics over examples, by the bootstrap (Efron 1979)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from scipy.stats import bootstrap
from torch import Tensor

from workbench.core.random import derived_seed

RESAMPLES = 2000
AT_ONCE = 2**22
"""Maximum number of values in one batch of draws."""
FEW = 8
"""Number of examples below which an interval is too narrow to be reliable."""


def bootstrap_interval(
    statistic: Callable[..., Any],
    *sizes: int,
    seed: int = 0,
    level: float = 0.95,
    width: int = 1,
    draws: int = RESAMPLES,
) -> Float[Tensor, " 2 *any"]:
    """Compute the percentile bootstrap interval of a statistic of examples.

    Several sizes are groups of different things, such as examples and random circuits, each drawn by itself. With
    fewer than two members of a group there is no interval: both ends are NaN.

    Args:
        statistic: Takes rows (draw, size) of each group, drawn with replacement, and returns (..., draw).
        sizes: Number of members of each group.
        seed: Seeds the draws.
        level: Share of the draws between both ends.
        width: Numbers that the statistic holds for one member of one draw, to bound its memory.
        draws: Number of resamples.

    Returns:
        The low and the high end, in double precision.
    """
    if min(sizes) < 2:
        value = torch.as_tensor(statistic(*(torch.arange(n)[None] for n in sizes)))[..., 0]
        return torch.full((2, *value.shape), torch.nan, dtype=torch.float64)
    return torch.from_numpy(np.stack(resample(statistic, *sizes, seed=seed, level=level, width=width, draws=draws)[:2]))


def resample(
    statistic: Callable[..., Any], *sizes: int, seed: int, draws: int, level: float = 0.95, width: int = 1
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute low end, high end and standard error by `scipy.stats.bootstrap`; arguments as in `bootstrap_interval`."""

    def of_draws(*rows: np.ndarray, axis: int = -1) -> np.ndarray:
        found = statistic(*(torch.from_numpy(np.atleast_2d(x)) for x in rows)).numpy(force=True)
        return found if rows[0].ndim > 1 else found[..., 0]

    found = bootstrap(
        tuple(np.arange(n) for n in sizes), of_draws, n_resamples=draws, confidence_level=level,
        method="percentile", vectorized=True, rng=np.random.default_rng(derived_seed(seed, "bootstrap")),
        batch=max(1, AT_ONCE // (width * max(sizes))),
    )  # fmt: skip
    low, high, error = map(np.asarray, (*found.confidence_interval, found.standard_error))
    return low, high, error


def mean_interval(values: Float[Tensor, "*any sample"], seed: int = 0, level: float = 0.95) -> Float[Tensor, " 2 *any"]:
    """Compute the 95 % bootstrap interval of means over the last axis: low and high ends.

    The same members are drawn for every row, so intervals of paired rows belong together. NaN for a single member.
    """
    x = values.double().detach().cpu()
    n, rows = x.shape[-1], max(1, x[..., 0].numel())

    def means(drawn: Tensor) -> Tensor:
        count = torch.zeros(len(drawn), n, dtype=torch.float64)
        return x @ count.scatter_add_(1, drawn, torch.ones_like(drawn, dtype=torch.float64)).T / n

    return bootstrap_interval(means, n, seed=seed, level=level, width=max(1, rows // n))
