"""Images by their phases alone: spectrum, colours and range are those of natural images (Fel et al. 2023)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

Images = Float[Tensor, "batch channel height width"]
Phases = Float[Tensor, "batch channel height frequency"]


@dataclass(frozen=True)
class Appearance:
    """What a batch of images has in common.

    `amplitude` is their mean amplitude spectrum once the colours are decorrelated (at frequency zero, which is
    brightness, the largest); `mixing` correlates the colours again, `unmixing` undoes it; `low` and `high` are the
    range of each channel.
    """

    mean: Float[Tensor, "channel 1 1"]
    mixing: Float[Tensor, "channel channel"]
    unmixing: Float[Tensor, "channel channel"]
    amplitude: Float[Tensor, "channel height frequency"]
    low: Float[Tensor, "channel 1 1"]
    high: Float[Tensor, "channel 1 1"]
    width: int

    def images(self, phases: Phases) -> Images:
        """The images with these phases, cut to the range of natural ones."""
        size = (self.amplitude.shape[1], self.width)
        plain = torch.fft.irfft2(torch.polar(self.amplitude.expand_as(phases).contiguous(), phases), size, norm="ortho")
        return torch.clamp(mix(self.mixing, plain) + self.mean, self.low, self.high)

    def phases(self, images: Images) -> Phases:
        """The phases of given images."""
        return torch.fft.rfft2(mix(self.unmixing, images - self.mean), norm="ortho").angle()


def fit_appearance(images: Images) -> Appearance:
    """What these images have in common."""
    mean, low, high = (end(images, dim=(0, 2, 3), keepdim=True)[0] for end in (torch.mean, torch.amin, torch.amax))
    pixels = rearrange(images - mean, "batch channel height width -> channel (batch height width)")
    variance, basis = torch.linalg.eigh(pixels @ pixels.T / pixels.shape[1])
    spread = variance.clamp(min=1e-6 * float(variance.max()) + 1e-12).sqrt()
    mixing, unmixing = basis * spread @ basis.T, basis / spread @ basis.T
    spectra = torch.fft.rfft2(mix(unmixing, images - mean), norm="ortho").abs()
    amplitude = spectra.mean(dim=0)
    amplitude[:, 0, 0] = spectra[:, :, 0, 0].amax(dim=0)  # any brightness that occurs, by the cosine of its phase
    return Appearance(mean, mixing, unmixing, amplitude, low, high, images.shape[3])


def mix(matrix: Float[Tensor, "channel channel"], images: Images) -> Images:
    """Images whose channels are sums of the given ones'."""
    return torch.einsum("ij,bjhw->bihw", matrix, images)


def transform(images: Images, moves: Float[Tensor, "batch 4"]) -> Images:
    """Each image turned, enlarged and shifted by its own four numbers: angle (radians), log of the scale, two shifts.

    A shift of 1 is half the image; what comes in from outside mirrors what is inside.
    """
    angle, size = moves[:, 0], moves[:, 1].exp()
    rows = [
        torch.stack([angle.cos() * size, -angle.sin() * size, moves[:, 2]], dim=1),
        torch.stack([angle.sin() * size, angle.cos() * size, moves[:, 3]], dim=1),
    ]
    grid = affine_grid(torch.stack(rows, dim=1), list(images.shape), align_corners=False)
    return grid_sample(images, grid, padding_mode="reflection", align_corners=False)
