"""MNIST in other shapes: flattened for an MLP, and at half the size for quick experiments."""

from __future__ import annotations

from dataclasses import replace

from einops import rearrange, reduce
from jaxtyping import UInt8
from torch import Tensor

from workbench.core.registry import DATASETS
from workbench.data.images.image_data import ImageData, channel_statistics, content_hash
from workbench.data.images.mnist import mnist


@DATASETS.register("flat_mnist")
def flat_mnist() -> ImageData:
    """MNIST as 784 features in row-major order, normalised as one channel."""
    data = mnist()
    train, test = (rearrange(x, "n c h w -> n (c h w)") for x in (data.train_pixels, data.test_pixels))
    return replace(data, name="flat_mnist", train_pixels=train, test_pixels=test)


@DATASETS.register("half_mnist")
def half_mnist() -> ImageData:
    """MNIST at 14x14; each pixel is the mean of four."""
    data = mnist()
    train, test = halve(data.train_pixels), halve(data.test_pixels)
    mean, std = channel_statistics(train)
    return replace(
        data,
        name="half_mnist",
        train_pixels=train,
        test_pixels=test,
        mean=mean,
        std=std,
        sha256=content_hash([train.numpy(), test.numpy()]),
        note="MNIST at half the size (14 x 14, means of four pixels): accuracies are not comparable with MNIST's.",
    )


def halve(pixels: UInt8[Tensor, "batch c h w"]) -> UInt8[Tensor, "batch c h//2 w//2"]:
    """Average squares of four pixels and round."""
    means = reduce(pixels.float(), "n c (h two) (w too) -> n c h w", "mean", two=2, too=2)
    return means.round().byte()
