"""Batches of pictures: every epoch a new order, every step the same batch however often it is asked for."""

from collections.abc import Callable
from functools import lru_cache

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor

from workbench.core.errors import ConfigError
from workbench.core.random import generator
from workbench.data.image_data import ImageData

Images = Float[Tensor, "batch *shape"]
Augment = Callable[[Images, torch.Generator], Images]


def minibatches(
    data: ImageData, batch_size: int, seed: int, augment: Augment | None = None, alternate: bool = False
) -> Callable[[int], tuple[Images, Int[Tensor, " batch"]]]:
    """A function from a step to its training batch (normalised inputs, targets): a pure function of (seed, step).

    An epoch is one random order of the training set, `len(train) // batch_size` steps long; the pictures left over
    sit that epoch out. `augment` sees images in 0..1 and a generator of its own for each step. `alternate` mirrors a
    random half of the pictures in even epochs and the other half in odd ones, so that two epochs show both sides of
    each (Jordan 2024).
    """
    total = len(data.train_targets)
    if not 1 <= batch_size <= total:
        raise ConfigError(
            f"A batch size of {batch_size} does not fit {data.name}: choose 1 to {total} (which is full-batch)."
        )
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
            images = mirrored(images, first_mirrored[rows] ^ bool(epoch % 2))
        if augment is not None:
            images = augment(images, generator(seed, "augment", step))
        return data.normalize(images), data.train_targets[rows]

    return batch


def mirrored(images: Images, which: Bool[Tensor, " batch"]) -> Images:
    """The images, some of them with left and right exchanged."""
    return torch.where(rearrange(which, "b -> b 1 1 1"), images.flip(-1), images)
