"""Drawn shapes with known factors of variation: shape, texture, size, position and colour, in every combination."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import torch
from einops import rearrange, reduce
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor
from torch.nn.functional import normalize

from workbench.core.random import generator
from workbench.core.registry import DATASETS
from workbench.data.images.image_data import ImageData, content_hash

SIDE = 24
"""Side of an image in pixels."""
FINE = 4
"""Samples per pixel along each axis; a pixel is their mean."""
COLOURS = {
    "red": (1.0, 0.15, 0.15), "green": (0.1, 0.9, 0.2), "blue": (0.2, 0.35, 1.0),
    "yellow": (1.0, 0.9, 0.1), "magenta": (0.95, 0.2, 0.9), "cyan": (0.1, 0.9, 0.95),
}  # fmt: skip
RADII = {"small": 4.0, "medium": 5.0, "large": 6.0}
PLACES = tuple(7.0 + 10.0 * i / 7 for i in range(8))
"""Coordinates of centres in pixels, from the left or the top."""
DARK = 0.3
"""Brightness of a texture's dark parts."""
TEST_SHARE = 0.2
Grid = Float[Tensor, "height width"]


@dataclass(frozen=True)
class Factor:
    """Factor of variation and the names of its values. `ordered` means that neighbouring values look alike."""

    name: str
    values: tuple[str, ...]
    ordered: bool = False


FACTORS = (
    Factor("shape", ("circle", "square", "triangle", "cross")),
    Factor("texture", ("plain", "striped", "dotted")),
    Factor("size", tuple(RADII), ordered=True),
    Factor("x", tuple(f"{x:.1f}" for x in PLACES), ordered=True),
    Factor("y", tuple(f"{y:.1f}" for y in PLACES), ordered=True),
    Factor("colour", tuple(COLOURS)),
)


@dataclass(frozen=True, eq=False, kw_only=True)
class FactorData(ImageData):
    """Images with the index of every factor's value."""

    factors: tuple[Factor, ...]
    train_factors: Int[Tensor, "train factor"]
    test_factors: Int[Tensor, "test factor"]


@DATASETS.register("shapes")
def shapes() -> FactorData:
    """All 13,824 combinations of six factors, 24x24 in colour on black; a fixed random fifth is the test set."""
    values = torch.tensor(list(product(*(range(len(factor.values)) for factor in FACTORS))))
    pixels = draw(values)
    order = torch.randperm(len(values), generator=generator(0, "shapes split"))
    test, train = order.tensor_split([round(TEST_SHARE * len(order))])
    return FactorData(
        name="shapes",
        train_pixels=pixels[train],
        train_targets=values[train, 0],
        test_pixels=pixels[test],
        test_targets=values[test, 0],
        class_names=FACTORS[0].values,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        licence="MIT",
        source="workbench/data/images/shapes.py",
        sha256=content_hash([pixels.numpy(), values.numpy()]),
        note="Drawn by code; pixels are left in 0..1: not centred. No combination of factors is in both splits.",
        factors=FACTORS,
        train_factors=values[train],
        test_factors=values[test],
    )


def draw(values: Int[Tensor, "row factor"]) -> UInt8[Tensor, "row channel height width"]:
    """Draw images of these factors."""
    uncoloured, which = values[:, :-1].unique(dim=0, return_inverse=True)
    brightness = torch.stack([render_brightness(*row) for row in uncoloured.tolist()])
    colours = torch.tensor(list(COLOURS.values()))[values[:, -1]]
    images = brightness[which][:, None] * rearrange(colours, "row channel -> row channel 1 1")
    return (255 * images).round().byte()


def nearest_colour(images: Float[Tensor, "row 3 height width"]) -> Int[Tensor, " row"]:
    """Return the index of the colour with the largest cosine similarity to each image's summed pixels."""
    summed = normalize(reduce(images, "row channel height width -> row channel", "sum"), dim=1)
    return (summed @ normalize(torch.tensor(list(COLOURS.values())), dim=1).T).argmax(dim=1)


def render_brightness(shape: int, texture: int, size: int, x: int, y: int) -> Grid:
    """Compute the brightness (0 to 1) of each pixel, averaged over samples inside it."""
    points = (torch.arange(SIDE * FINE) + 0.5) / FINE
    down, across = torch.meshgrid(points - PLACES[y], points - PLACES[x], indexing="ij")
    radius = tuple(RADII.values())[size]
    light = torch.where(is_dark(texture, across, down), DARK, 1.0) * is_inside(shape, across / radius, down / radius)
    return reduce(light, "(h i) (w j) -> h w", "mean", i=FINE, j=FINE)


def is_inside(shape: int, u: Grid, v: Grid) -> Bool[Tensor, "height width"]:
    """Return whether points lie in a shape of radius 1 around the origin; v grows downwards."""
    name = FACTORS[0].values[shape]
    if name == "circle":
        return u.hypot(v) <= 1
    if name == "square":
        return torch.maximum(u.abs(), v.abs()) <= 0.88
    if name == "triangle":
        return (v <= 0.8) & (u.abs() <= (v + 1) / 1.8)
    return (torch.minimum(u.abs(), v.abs()) <= 0.33) & (torch.maximum(u.abs(), v.abs()) <= 1)


def is_dark(texture: int, across: Grid, down: Grid) -> Bool[Tensor, "height width"]:
    """Return whether a texture darkens points, given in pixels from the centre."""
    name = FACTORS[1].values[texture]
    if name == "plain":
        return torch.zeros_like(across, dtype=torch.bool)
    if name == "striped":
        return across.remainder(4) < 2
    return (across.remainder(3) - 1.5).hypot(down.remainder(3) - 1.5) < 1
