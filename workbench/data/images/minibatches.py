"""Minibatches of images that depend only on the seed and the step."""

from collections.abc import Callable
from functools import lru_cache

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor

from workbench.core.errors import ConfigError
from workbench.core.random import generator
from workbench.data.images.image_data import ImageData

Images = Float[Tensor, "batch *shape"]
Augment = Callable[[Images, torch.Generator], Images]


def minibatches(
    data: ImageData, batch_size: int, seed: int, augment: Augment | None = None, alternate: bool = False
) -> Callable[[int], tuple[Images, Int[Tensor, " batch"]]]:
    """Return a function from a step to its training batch (normalised inputs, targets).

    An epoch is a random order of the training set, cut into `len(train) // batch_size` steps; the remainder is skipped.

    Args:
        data: Images with classes.
        batch_size: Images per step.
        seed: Seeds the orders and the augmentation.
        augment: Maps images in 0..1 and a generator to images; called once per step.
        alternate: Mirror a random half of the images in even epochs and the other half in odd ones (Jordan 2024).
    """
    total = len(data.train_targets)
    if not 1 <= batch_size <= total:
        raise ConfigError(f"batch_size {batch_size} is out of range for {data.name}. Choose 1 to {total} (full batch).")
    steps_per_epoch = total // batch_size

    first_mirrored = torch.rand(total, generator=generator(seed, "mirrored")) < 0.5

    @lru_cache(maxsize=2)
    def order(epoch: int) -> Int[Tensor, " train"]:
        return torch.randperm(total, generator=generator(seed, "epoch", epoch))

    def batch(step: int) -> tuple[Images, Int[Tensor, " batch"]]:
        epoch, place = divmod(step, steps_per_epoch)
        rows = order(epoch)[place * batch_size : (place + 1) * batch_size]
        images = data.unit_range(data.train_pixels[rows])
        if alternate:
            images = mirror(images, first_mirrored[rows] ^ bool(epoch % 2))
        if augment is None:
            return data.normalize_(images), data.train_targets[rows]
        images = augment(images, generator(seed, "augment", step))
        return data.normalize(images), data.train_targets[rows]

    return batch


def mirror(images: Images, which: Bool[Tensor, " batch"]) -> Images:
    """Mirror the images at which `which` is true."""
    return torch.where(rearrange(which, "b -> b 1 1 1"), images.flip(-1), images)
