"""Binary MNIST: each pixel sampled once, with its grey value as the probability of white."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from workbench.core.random import generator
from workbench.core.registry import DATASETS
from workbench.data.images.image_data import ImageData, content_hash
from workbench.data.images.mnist import mnist


@DATASETS.register("binary_mnist")
def binary_mnist() -> ImageData:
    """MNIST with pixels 0 or 1: one fixed sample, not the one of Larochelle (Salakhutdinov & Murray 2008)."""
    grey = grey_mnist()
    train, test = (
        binarise(grey.unit_range(getattr(grey, f"{split}_pixels")), generator(0, "binary mnist", split)).byte()
        for split in ("train", "test")
    )
    return replace(
        grey,
        name="binary_mnist",
        train_pixels=train,
        test_pixels=test,
        peak=1,
        sha256=content_hash([train.numpy(), test.numpy()]),
        note="Each pixel was drawn once, white with its grey value as the probability: our own draw, not Larochelle's.",
    )


def grey_mnist() -> ImageData:
    """MNIST with values in 0..1 (mean 0 and standard deviation 1 in place of its own)."""
    return replace(mnist(), mean=(0.0,), std=(1.0,))


def binarise(images: Float[Tensor, "batch *shape"], random: torch.Generator) -> Float[Tensor, "batch *shape"]:
    """Sample pixels as 0 or 1; the probability of 1 is the value of the image."""
    return (torch.rand(images.shape, generator=random) < images).to(images.dtype)
