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


def z_scores(
    activations: Float[Tensor, "row unit"], reference: Float[Tensor, "batch unit"]
) -> Float[Tensor, "row unit"]:
    """Standardize activations by each unit's mean and standard deviation over a reference batch.

    A unit that is constant there gets minus infinity.
    """
    mean, spread = reference.mean(dim=0), reference.std(dim=0, correction=0)
    return torch.where(spread > 1e-6 * mean.abs(), (activations - mean) / spread, -torch.inf)


def top_unit(
    activations: Float[Tensor, "row unit"], units: Int[Tensor, " row"], reference: Float[Tensor, "batch unit"]
) -> Bool[Tensor, " row"]:
    """Return whether each row's unit has the largest z-score on that row."""
    return z_scores(activations, reference).argmax(dim=1) == units
