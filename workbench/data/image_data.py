"""Pictures with classes: kept as the exact bytes of the source, handed out as normalised floats."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from numpy.typing import NDArray
from torch import Tensor

from workbench.core.errors import ConfigError
from workbench.core.random import generator


@dataclass(frozen=True, eq=False)
class ImageData:
    """A training and a test set of pictures; `*_inputs` are what a network takes, `*_pixels` what the source holds.

    `mean` and `std` are per channel, of the training set, in units where `peak` (the brightest pixel value) is 1.
    `sha256` is the hash of the contents (see `content_hash`), whatever file they came in.
    """

    name: str
    train_pixels: UInt8[Tensor, "train *shape"]
    train_targets: Int[Tensor, " train"]
    test_pixels: UInt8[Tensor, "test *shape"]
    test_targets: Int[Tensor, " test"]
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    licence: str
    source: str
    sha256: str
    note: str = ""
    peak: int = 255

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one picture: (channel, height, width), or (feature,)."""
        return tuple(self.train_pixels.shape[1:])

    @cached_property
    def train_inputs(self) -> Float[Tensor, "train *shape"]:
        """The training pictures, normalised; made at the first look, four bytes per pixel."""
        return self.inputs_from(self.train_pixels)

    @cached_property
    def test_inputs(self) -> Float[Tensor, "test *shape"]:
        """The test pictures, normalised; made at the first look."""
        return self.inputs_from(self.test_pixels)

    def inputs_from(self, pixels: UInt8[Tensor, "batch *shape"]) -> Float[Tensor, "batch *shape"]:
        """Pixels as a network takes them: `normalize` of `unit_range`, with one copy in memory."""
        images = self.unit_range(pixels)
        return images.sub_(self.per_channel(self.mean, images)).div_(self.per_channel(self.std, images))

    def unit_range(self, pixels: UInt8[Tensor, "batch *shape"]) -> Float[Tensor, "batch *shape"]:
        """Pixels as floats in 0..1."""
        return pixels.float().div_(self.peak)

    def normalize(self, images: Float[Tensor, "*batch_shape"]) -> Float[Tensor, "*batch_shape"]:
        """Images in 0..1 to the network's units: mean 0 and standard deviation 1 per channel over the training set."""
        return (images - self.per_channel(self.mean, images)) / self.per_channel(self.std, images)

    def denormalize(self, inputs: Float[Tensor, "*batch_shape"]) -> Float[Tensor, "*batch_shape"]:
        """The network's units back to 0..1, to look at; nothing is clipped."""
        return inputs * self.per_channel(self.std, inputs) + self.per_channel(self.mean, inputs)

    def per_channel(self, values: tuple[float, ...], like: Tensor) -> Tensor:
        """One number per channel, shaped to broadcast over pictures."""
        return torch.tensor(values, dtype=like.dtype, device=like.device).reshape(-1, *[1] * (len(self.shape) - 1))


def held_out(data: ImageData, share: float) -> ImageData:
    """The data set with a random `share` of its training set, always the same, in place of the test set."""
    total = len(data.train_targets)
    kept = total - round(share * total)
    if not 0 < kept < total:
        raise ConfigError(f"A share of {share} leaves nothing to train or nothing to test on. Choose one such as 0.1.")
    order = torch.randperm(total, generator=generator(0, "held out"))
    train, test = order[:kept], order[kept:]
    return replace(
        data,
        train_pixels=data.train_pixels[train],
        train_targets=data.train_targets[train],
        test_pixels=data.train_pixels[test],
        test_targets=data.train_targets[test],
        note=f"{data.note} Measured on {share:.3g} of the training set, which training left out.".strip(),
    )


def channel_statistics(
    pixels: UInt8[Tensor, "batch channel height width"], peak: int = 255
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel in units of `peak`, exact (from the histogram)."""
    levels = torch.arange(256, dtype=torch.float64) / peak
    mean, std = [], []
    for channel in pixels.unbind(1):
        share = torch.bincount(channel.flatten(), minlength=256).double() / channel.numel()
        mean.append((share @ levels).item())
        std.append((share @ (levels - mean[-1]) ** 2).sqrt().item())
    return tuple(mean), tuple(std)


def content_hash(arrays: Iterable[NDArray[np.generic]]) -> str:
    """The sha256 of arrays: type, shape and bytes of each in turn, however they are packed on disk."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
