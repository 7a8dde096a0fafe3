"""Labelled images, stored as the bytes of the source and served as normalised floats."""

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
    """Training and test images. `*_pixels` are the bytes of the source, `*_inputs` the inputs of a network."""

    name: str
    train_pixels: UInt8[Tensor, "train *shape"]
    train_targets: Int[Tensor, " train"]
    test_pixels: UInt8[Tensor, "test *shape"]
    test_targets: Int[Tensor, " test"]
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    """Mean per channel of the training set, with `peak` as 1."""
    std: tuple[float, ...]
    """Standard deviation per channel of the training set, with `peak` as 1."""
    licence: str
    source: str
    sha256: str
    """Hash of the contents (see `content_hash`), independent of the file format."""
    note: str = ""
    peak: int = 255
    """Largest possible pixel value."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one image: (channel, height, width), or (feature,)."""
        return tuple(self.train_pixels.shape[1:])

    @cached_property
    def train_inputs(self) -> Float[Tensor, "train *shape"]:
        """Normalised training images; computed at the first access, four bytes per pixel."""
        return self.inputs_from(self.train_pixels)

    @cached_property
    def test_inputs(self) -> Float[Tensor, "test *shape"]:
        """Normalised test images; computed at the first access."""
        return self.inputs_from(self.test_pixels)

    def inputs_from(self, pixels: UInt8[Tensor, "batch *shape"]) -> Float[Tensor, "batch *shape"]:
        """Normalise pixels: equals `normalize(unit_range(pixels))`, with one copy in memory."""
        images = self.unit_range(pixels)
        return images.sub_(self.per_channel(self.mean, images)).div_(self.per_channel(self.std, images))

    def unit_range(self, pixels: UInt8[Tensor, "batch *shape"]) -> Float[Tensor, "batch *shape"]:
        """Convert pixels to floats in 0..1."""
        return pixels.float().div_(self.peak)

    def normalize(self, images: Float[Tensor, "*batch_shape"]) -> Float[Tensor, "*batch_shape"]:
        """Shift and scale images in 0..1 to mean 0 and standard deviation 1 per channel over the training set."""
        return self.normalize_(images.clone())

    def normalize_(self, images: Float[Tensor, "*batch_shape"]) -> Float[Tensor, "*batch_shape"]:
        """Normalize images in place, which takes no memory."""
        return images.sub_(self.per_channel(self.mean, images)).div_(self.per_channel(self.std, images))

    def denormalize(self, inputs: Float[Tensor, "*batch_shape"]) -> Float[Tensor, "*batch_shape"]:
        """Invert `normalize`, without clipping."""
        return inputs * self.per_channel(self.std, inputs) + self.per_channel(self.mean, inputs)

    def per_channel(self, values: tuple[float, ...], like: Tensor) -> Tensor:
        """Return one number per channel as a tensor that broadcasts over images."""
        return torch.tensor(values, dtype=like.dtype, device=like.device).reshape(-1, *[1] * (len(self.shape) - 1))


def hold_out(data: ImageData, share: float) -> ImageData:
    """Replace the test set by a random `share` of the training set, which is removed from it.

    The split is the same on every machine.
    """
    total = len(data.train_targets)
    kept = total - round(share * total)
    if not 0 < kept < total:
        raise ConfigError(f"A share of {share} leaves the training or the test set empty. Choose a value such as 0.1.")
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
    """Compute mean and standard deviation per channel, in units of `peak`; exact, from the histogram."""
    levels = torch.arange(256, dtype=torch.float64) / peak
    mean, std = [], []
    for channel in pixels.unbind(1):
        share = torch.bincount(channel.flatten(), minlength=256).double() / channel.numel()
        mean.append((share @ levels).item())
        std.append((share @ (levels - mean[-1]) ** 2).sqrt().item())
    return tuple(mean), tuple(std)


def content_hash(arrays: Iterable[NDArray[np.generic]]) -> str:
    """Compute the sha256 of the dtype, shape and bytes of each array in turn."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
