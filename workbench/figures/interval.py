"""Confidence intervals of means over examples."""

from __future__ import annotations

from jaxtyping import Float
from scipy.stats import t
from torch import Tensor


def half_width(values: Float[Tensor, "*any batch"], level: float = 0.95) -> Float[Tensor, "*any"]:
    """Compute half the confidence interval (Student's t) of the mean over the last axis; NaN for a single example."""
    n = values.shape[-1]
    if n < 2:
        return values[..., 0] * float("nan")
    return values.std(dim=-1) / n**0.5 * float(t.ppf((1 + level) / 2, n - 1))
