"""Quality measures for feature visualizations that need no human raters."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import normalize


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


def top_image(activations: Float[Tensor, "row unit"], units: Int[Tensor, " row"]) -> Bool[Tensor, " row"]:
    """Return whether each row has, of all rows, the largest activation of its unit."""
    return activations[:, units].argmax(dim=0) == torch.arange(len(units), device=units.device)


def radial_power(images: Float[Tensor, "batch channel height width"]) -> Float[Tensor, " radius"]:
    """Compute the mean power (dB) at integer frequencies (cycles per image), from 1 to half the shorter side."""
    height, width = images.shape[2:]
    power = torch.fft.fft2(images, norm="ortho").abs().square().mean(dim=(0, 1))
    cycles = (torch.fft.fftfreq(n, 1 / n).to(power) for n in (height, width))
    radius = torch.hypot(*torch.meshgrid(*cycles, indexing="ij")).round().long()
    shells = range(1, min(height, width) // 2 + 1)
    mean = torch.stack([power[radius == shell].mean() for shell in shells])
    return 10 * mean.clamp(min=torch.finfo(power.dtype).tiny).log10()


def spectrum_difference(
    images: Float[Tensor, "batch channel height width"], natural: Float[Tensor, "other channel height width"]
) -> Float[Tensor, ""]:
    """Compute the mean absolute difference between the radial power spectra of two batches, in dB."""
    return (radial_power(images) - radial_power(natural)).abs().mean()


def seed_identity(one: Float[Tensor, "unit feature"], other: Float[Tensor, "unit feature"]) -> Float[Tensor, ""]:
    """Return the share of units whose nearest neighbour (cosine) in the features of another seed is the same unit."""
    nearest = (normalize(one, dim=1) @ normalize(other, dim=1).T).argmax(dim=1)
    return (nearest == torch.arange(len(one), device=one.device)).to(one.dtype).mean()
