"""MNIST in black and white, each pixel drawn once with its grey value as the probability of white."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from workbench.core.random import generator
from workbench.core.registry import DATASETS
from workbench.data.image_data import ImageData, content_hash
from workbench.data.mnist import mnist


@DATASETS.register("binary_mnist")
def binary_mnist() -> ImageData:
    """MNIST with pixels of 0 or 1, not centred: a draw of our own, fixed for ever (Salakhutdinov & Murray 2008)."""
    grey = grey_mnist()
    train, test = (
        binarised(grey.unit_range(getattr(grey, f"{split}_pixels")), generator(0, "binary mnist", split)).byte()
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
    """MNIST in 0..1, not centred."""
    return replace(mnist(), mean=(0.0,), std=(1.0,))


def binarised(images: Float[Tensor, "batch *shape"], random: torch.Generator) -> Float[Tensor, "batch *shape"]:
    """Pixels drawn as 0 or 1, one with the probability that the image in 0..1 gives."""
    return (torch.rand(images.shape, generator=random) < images).to(images.dtype)
