"""A convolutional network that classifies outlines as round or square: lines, then curves and corners, then shapes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from workbench.core.metrics import LogitDifference
from workbench.core.registry import CIRCUITS
from workbench.ground_truth.known import KnownCircuit, make_matter, zero_weights
from workbench.zoo.cnn import CNNConfig, ConvNet

HORIZONTAL, VERTICAL, DIAGONAL, INK, BLANK = range(5)
"""Channels of the first layer: lines of three directions, and two distractors (any ink, no ink)."""
CURVE, CORNER, INKY, CLEAR = range(4)
"""Channels of the second layer: bends by 45 and 90 degrees, and two that read the distractors."""
ROUND, SQUARE, FULL = range(3)
"""Channels of the third layer: the two shapes, and one that never fires."""
LINES = {
    HORIZONTAL: [[-1, -1, -1], [1, 1, 1], [-1, -1, -1]],
    VERTICAL: [[-1, 1, -1], [-1, 1, -1], [-1, 1, -1]],
    DIAGONAL: [[-1, -1, 1], [-1, 1, -1], [1, -1, -1]],
}
SIZE, N_CLASSES = 16, 2


@CIRCUITS.register("planted_cnn")
def planted_cnn() -> KnownCircuit:
    """Round or square, from the corners of an outline.

    First layer: lines in three directions. Second layer: a curve where a diagonal continues into a horizontal, a corner
    where a vertical does. Third layer: a shape where its bend occurs. Distractors: ink drives a channel in every layer,
    and the last one is read by both classes but never fires; a channel that fires without ink is read by one that
    nothing reads.
    """
    model = zero_weights(ConvNet(CNNConfig(size=SIZE, channels=(5, 4, 3), n_classes=N_CLASSES)))
    first, second, third = model.blocks
    for channel, kernel in LINES.items():
        first.conv.weight[channel, 0] = torch.tensor(kernel)
        first.norm.bias[channel] = -2
    first.conv.weight[INK, 0] = 1
    first.conv.weight[BLANK, 0], first.norm.bias[BLANK] = -1, 1
    for bend, line in ((CURVE, DIAGONAL), (CORNER, VERTICAL)):
        second.conv.weight[bend, HORIZONTAL, 1, 2] = 2  # to the right
        second.conv.weight[bend, line, 2, 1] = 1  # below
        second.norm.bias[bend] = -2
    second.conv.weight[CURVE, DIAGONAL, 1, 1] = 1
    second.conv.weight[INKY, INK] = second.conv.weight[CLEAR, BLANK] = 1
    third.conv.weight[ROUND, CURVE] = third.conv.weight[SQUARE, CORNER] = 1
    third.conv.weight[FULL, INKY, 1, 1], third.norm.bias[FULL] = 1, -1000
    for shape in (ROUND, SQUARE):
        model.readout.linear.weight[shape, shape] = 1
    model.readout.linear.weight[:, FULL] = 5
    images, shapes = make_images()
    return KnownCircuit(
        about="Round or square, by the corners of an outline; right logit minus wrong.",
        model=model,
        inputs=images,
        corrupted=images.flip(0),
        metric=LogitDifference(shapes, 1 - shapes),
        matter=make_matter(model.graph(), dict.fromkeys(("zero", "resample"), edges())),
    )


def edges() -> list[str]:
    """Return the planted circuit."""
    firsts = [f"hook_input[channel=0] -> blocks.0.hook_pre[channel={line}]" for line in LINES]
    bends = ((HORIZONTAL, CURVE), (DIAGONAL, CURVE), (HORIZONTAL, CORNER), (VERTICAL, CORNER))
    seconds = [f"blocks.0.hook_pooled[channel={i}] -> blocks.1.hook_pre[channel={o}]" for i, o in bends]
    pairs = ((CURVE, ROUND), (CORNER, SQUARE))
    thirds = [f"blocks.1.hook_pooled[channel={i}] -> blocks.2.hook_pre[channel={o}]" for i, o in pairs]
    lasts = [f"blocks.2.hook_pooled[channel={s}] -> readout.hook_logits[class={s}]" for s in (ROUND, SQUARE)]
    return [*firsts, *seconds, *thirds, *lasts]


def make_images() -> tuple[Tensor, Tensor]:
    """Draw outlines of round and square boxes, alternating, at every place; returns images and classes."""
    places = [(x, y) for x in range(1, 5) for y in range(1, 5)]
    found: list[Any] = [(draw_outline(x, y, cut), kind) for x, y in places for cut, kind in ((3, ROUND), (0, SQUARE))]
    return torch.stack([image for image, _ in found]), torch.tensor([kind for _, kind in found])


def draw_outline(x: int, y: int, cut: int, side: int = 10) -> Tensor:
    """Draw a box with lines of one pixel; `cut` pixels of the upper left and lower right corners become diagonals."""
    image = torch.zeros(1, SIZE, SIZE, dtype=torch.float64)
    end = side - 1
    image[0, y, x + cut : x + side] = image[0, y + end, x : x + side - cut] = 1
    image[0, y + cut : y + side, x] = image[0, y : y + side - cut, x + end] = 1
    for step in range(cut + 1):
        image[0, y + cut - step, x + step] = 1
        image[0, y + end - cut + step, x + end - step] = 1
    return image
