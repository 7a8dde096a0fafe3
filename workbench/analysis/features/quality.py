"""Quality measures for feature visualizations that need no human raters."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def success(reached: Float[Tensor, " unit"], natural: Float[Tensor, " unit"]) -> Bool[Tensor, " unit"]:
    """Return whether the activation exceeds the largest natural one by more than rounding."""
    return reached > natural + 1e-5 * natural.abs()


def gain(reached: Float[Tensor, " unit"], natural: Float[Tensor, " unit"]) -> Float[Tensor, " unit"]:
    """Return the activation divided by the largest natural one; NaN if that is not positive."""
    return torch.where(natural > 0, reached / natural, torch.nan)


def top_unit(
    activations: Float[Tensor, "row unit"], units: Int[Tensor, " row"], reference: Float[Tensor, "batch unit"]
) -> Bool[Tensor, " row"]:
    """Return whether each row's unit has the largest z-score on that row.

    Mean and standard deviation of each unit are those over a reference batch; a unit that is constant there has the
    lowest score.
    """
    mean, spread = reference.mean(dim=0), reference.std(dim=0, correction=0)
    z = torch.where(spread > 1e-6 * mean.abs(), (activations - mean) / spread, -torch.inf)
    return z.argmax(dim=1) == units
