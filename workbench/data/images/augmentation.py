"""Random augmentations that preserve the class, for images with values in 0..1."""

import math
from collections.abc import Callable

import torch
from einops import rearrange, repeat
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

Images = Float[Tensor, "batch channel height width"]
Augment = Callable[[Images, torch.Generator], Images]


def crop_and_flip(
    images: Images, generator: torch.Generator, padding: int = 4, flip: float = 0.5, margin: int = 0
) -> Float[Tensor, "batch channel inner_height inner_width"]:
    """Shift images at random and mirror some of them (the standard augmentation of CIFAR-10).

    Pixels from outside are reflections of the image.

    Args:
        images: Images of any range.
        generator: Source of randomness.
        padding: Largest shift in pixels, in each direction.
        flip: Share of images that are mirrored.
        margin: Pixels cut off each side after the shift.
    """
    batch, channels, height, width = images.shape
    down, right = torch.randint(-padding, padding + 1, (2, batch, 1), generator=generator)
    mirrored = torch.rand(batch, 1, generator=generator) < flip
    rows = reflect(torch.arange(margin, height - margin) + down, height)
    columns = reflect(torch.arange(margin, width - margin) + right, width)
    columns = torch.where(mirrored, columns.flip(-1), columns)
    origin = rearrange(rows * width, "b h -> b h 1") + rearrange(columns, "b w -> b 1 w")
    places = repeat(origin, "b h w -> b c (h w)", c=channels)
    return images.flatten(2).gather(2, places).unflatten(2, origin.shape[1:])


def reflect(places: Int[Tensor, "batch place"], size: int) -> Int[Tensor, "batch place"]:
    """Reflect indices outside of 0..size - 1 at the edges, without repeating the edge."""
    places = places.abs()
    return torch.where(places < size, places, 2 * (size - 1) - places)


def cutout(images: Images, generator: torch.Generator, side: int = 8) -> Images:
    """Cover a random square of `side` pixels in each image with grey (DeVries & Taylor 2017)."""
    batch, _, height, width = images.shape
    top = torch.randint(0, height - side + 1, (batch, 1), generator=generator)
    left = torch.randint(0, width - side + 1, (batch, 1), generator=generator)
    down, right = torch.arange(height) - top, torch.arange(width) - left
    rows, columns = (down >= 0) & (down < side), (right >= 0) & (right < side)
    covered = rearrange(rows, "b h -> b 1 h 1") & rearrange(columns, "b w -> b 1 1 w")
    return images.masked_fill(covered, 0.5)


def affine(degrees: float = 10.0, shift: float = 2.0, stretch: float = 0.1) -> Augment:
    """Return a random rotation, translation and scaling of images, with linear interpolation on black.

    Args:
        degrees: Largest rotation in degrees, either way.
        shift: Largest translation in pixels.
        stretch: Largest relative change of size.
    """

    def change(images: Images, generator: torch.Generator) -> Images:
        batch, _, height, width = images.shape
        turn, size, down, right = (torch.rand(4, batch, generator=generator) * 2 - 1).unbind()
        angle, size = turn * math.radians(degrees), 1 + stretch * size
        cos, sin = angle.cos() * size, angle.sin() * size
        # In grid units the image is 2 wide and 2 high.
        across, along = right * (2 * shift / width), down * (2 * shift / height)
        matrix = torch.stack([torch.stack([cos, -sin, across], -1), torch.stack([sin, cos, along], -1)], -2)
        grid = affine_grid(matrix, list(images.shape), align_corners=False)
        return grid_sample(images, grid, align_corners=False)

    return change
