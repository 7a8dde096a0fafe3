"""Small random changes of a picture that leave its class alone; images in 0..1, randomness from the generator."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, pad

Images = Float[Tensor, "batch channel height width"]
Augment = Callable[[Images, torch.Generator], Images]


def flip(images: Images, generator: torch.Generator) -> Images:
    """Half of the pictures, drawn at random, mirrored left to right."""
    mirrored = torch.rand(len(images), 1, 1, 1, generator=generator) < 0.5
    return torch.where(mirrored, images.flip(-1), images)


def crop(images: Images, generator: torch.Generator, padding: int = 4) -> Images:
    """Each picture moved by up to `padding` pixels either way; what comes in from outside is its reflection."""
    batch, _, height, width = images.shape
    padded = pad(images, [padding] * 4, mode="reflect")
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)
    down, right = torch.randint(2 * padding + 1, (2, batch), generator=generator)
    return windows[torch.arange(batch), :, down, right]


def crop_and_flip(images: Images, generator: torch.Generator) -> Images:
    """The usual augmentation of CIFAR-10: a random crop after padding by 4 pixels, and half of them mirrored."""
    return flip(crop(images, generator), generator)


def affine(degrees: float = 10.0, shift: float = 2.0, stretch: float = 0.1) -> Augment:
    """A random turn (up to `degrees`), shift (`shift` pixels) and change of size (by the share `stretch`) for digits.

    Linear interpolation; what comes in from outside is black.
    """

    def change(images: Images, generator: torch.Generator) -> Images:
        batch, _, height, width = images.shape
        turn, size, down, right = (torch.rand(4, batch, generator=generator) * 2 - 1).unbind()
        angle, size = turn * math.radians(degrees), 1 + stretch * size
        cos, sin = angle.cos() * size, angle.sin() * size
        # Grid units: the picture is 2 wide and 2 high, whatever its pixels.
        across, along = right * (2 * shift / width), down * (2 * shift / height)
        matrix = torch.stack([torch.stack([cos, -sin, across], -1), torch.stack([sin, cos, along], -1)], -2)
        grid = affine_grid(matrix, list(images.shape), align_corners=False)
        return grid_sample(images, grid, align_corners=False)

    return change
