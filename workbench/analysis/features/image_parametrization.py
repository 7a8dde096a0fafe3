"""Images parametrized by their phases, with natural spectrum, colours and range (MACO; Fel et al. 2023)."""

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
    """Statistics of a batch of images."""

    mean: Float[Tensor, "channel 1 1"]
    """Mean of each channel."""
    mixing: Float[Tensor, "channel channel"]
    """Square root of the colour covariance, which correlates the channels."""
    unmixing: Float[Tensor, "channel channel"]
    """Inverse of `mixing`, which decorrelates the channels."""
    amplitude: Float[Tensor, "channel height frequency"]
    """Mean amplitude spectrum of the decorrelated channels; at frequency zero the maximum."""
    low: Float[Tensor, "channel 1 1"]
    """Minimum of each channel."""
    high: Float[Tensor, "channel 1 1"]
    """Maximum of each channel."""
    width: int

    def images(self, phases: Phases) -> Images:
        """Compute the images with these phases, clamped to the natural range."""
        size = (self.amplitude.shape[1], self.width)
        plain = torch.fft.irfft2(torch.polar(self.amplitude.expand_as(phases).contiguous(), phases), size, norm="ortho")
        return torch.clamp(mix(self.mixing, plain) + self.mean, self.low, self.high)

    def phases(self, images: Images) -> Phases:
        """Compute the phases of images."""
        return torch.fft.rfft2(mix(self.unmixing, images - self.mean), norm="ortho").angle()


def fit_appearance(images: Images) -> Appearance:
    """Compute the statistics of a batch of images."""
    mean, low, high = (end(images, dim=(0, 2, 3), keepdim=True)[0] for end in (torch.mean, torch.amin, torch.amax))
    pixels = rearrange(images - mean, "batch channel height width -> channel (batch height width)")
    variance, basis = torch.linalg.eigh(pixels @ pixels.T / pixels.shape[1])
    spread = variance.clamp(min=1e-6 * float(variance.max()) + 1e-12).sqrt()
    mixing, unmixing = basis * spread @ basis.T, basis / spread @ basis.T
    spectra = torch.fft.rfft2(mix(unmixing, images - mean), norm="ortho").abs()
    amplitude = spectra.mean(dim=0)
    amplitude[:, 0, 0] = spectra[:, :, 0, 0].amax(dim=0)  # so that the phase can give any natural brightness
    return Appearance(mean, mixing, unmixing, amplitude, low, high, images.shape[3])


def mix(matrix: Float[Tensor, "channel channel"], images: Images) -> Images:
    """Multiply the channels of images by a matrix."""
    return torch.einsum("ij,bjhw->bihw", matrix, images)


def transform(images: Images, moves: Float[Tensor, "batch 4"]) -> Images:
    """Rotate, scale and shift each image by four numbers of its own, with reflection at the borders.

    `moves` are the angle (radians), the log of the scale, and two shifts (1 is half the image).
    """
    angle, size = moves[:, 0], moves[:, 1].exp()
    rows = [
        torch.stack([angle.cos() * size, -angle.sin() * size, moves[:, 2]], dim=1),
        torch.stack([angle.sin() * size, angle.cos() * size, moves[:, 3]], dim=1),
    ]
    grid = affine_grid(torch.stack(rows, dim=1), list(images.shape), align_corners=False)
    return grid_sample(images, grid, padding_mode="reflection", align_corners=False)
