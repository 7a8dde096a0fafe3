"""A convolutional network that tells outlines apart: edges make curves and corners, these make shapes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from workbench.core.metrics import LogitDifference
from workbench.core.registry import CIRCUITS
from workbench.ground_truth.known import KnownCircuit, blank, declared
from workbench.zoo.cnn import CNNConfig, ConvNet

HORIZONTAL, VERTICAL, DIAGONAL, INK, BLANK = range(5)
"""Channels of the first layer: lines of three directions; and distractors: any ink, and none."""
CURVE, CORNER, INKY, CLEAR = range(4)
"""Of the second: a line that bends by 45 degrees, by 90 degrees; and what reads the distractors."""
ROUND, SQUARE, FULL = range(3)
"""Of the third: the shapes; and one that the distractors can never excite."""
LINES = {
    HORIZONTAL: [[-1, -1, -1], [1, 1, 1], [-1, -1, -1]],
    VERTICAL: [[-1, 1, -1], [-1, 1, -1], [-1, 1, -1]],
    DIAGONAL: [[-1, -1, 1], [-1, 1, -1], [1, -1, -1]],
}
SIZE, N_CLASSES = 16, 2


@CIRCUITS.register("planted_cnn")
def planted_cnn() -> KnownCircuit:
    """Round or square, from the corners of an outline: a corner is a horizontal next to a vertical or to a diagonal.

    A line fires where three pixels of its direction stand alone; a curve where a diagonal leads into a horizontal, a
    corner where a vertical does; a shape where it finds its own. Distractors: ink drives a channel of every layer and
    the last of them votes, but never fires; a channel that fires on blank paper is read by one that nothing reads.
    """
    model = blank(ConvNet(CNNConfig(size=SIZE, channels=(5, 4, 3), n_classes=N_CLASSES)))
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
    images, shapes = drawings()
    return KnownCircuit(
        about="Round or square, by the corners of an outline; right logit minus wrong.",
        model=model,
        inputs=images,
        corrupted=images.flip(0),
        metric=LogitDifference(shapes, 1 - shapes),
        matter=declared(model.graph(), dict.fromkeys(("zero", "resample"), edges())),
    )


def edges() -> list[str]:
    """The planted circuit."""
    firsts = [f"hook_input[channel=0] -> blocks.0.hook_pre[channel={line}]" for line in LINES]
    bends = ((HORIZONTAL, CURVE), (DIAGONAL, CURVE), (HORIZONTAL, CORNER), (VERTICAL, CORNER))
    seconds = [f"blocks.0.hook_pooled[channel={i}] -> blocks.1.hook_pre[channel={o}]" for i, o in bends]
    pairs = ((CURVE, ROUND), (CORNER, SQUARE))
    thirds = [f"blocks.1.hook_pooled[channel={i}] -> blocks.2.hook_pre[channel={o}]" for i, o in pairs]
    lasts = [f"blocks.2.hook_pooled[channel={s}] -> readout.hook_logits[class={s}]" for s in (ROUND, SQUARE)]
    return [*firsts, *seconds, *thirds, *lasts]


def drawings() -> tuple[Tensor, Tensor]:
    """Outlines of rounded and of square boxes at every place, by turns, and which they are."""
    places = [(x, y) for x in range(1, 5) for y in range(1, 5)]
    found: list[Any] = [(outline(x, y, cut), kind) for x, y in places for cut, kind in ((3, ROUND), (0, SQUARE))]
    return torch.stack([image for image, _ in found]), torch.tensor([kind for _, kind in found])


def outline(x: int, y: int, cut: int, side: int = 10) -> Tensor:
    """A box of lines one pixel wide whose upper left and lower right corners may be cut off by diagonals."""
    image = torch.zeros(1, SIZE, SIZE, dtype=torch.float64)
    end = side - 1
    image[0, y, x + cut : x + side] = image[0, y + end, x : x + side - cut] = 1
    image[0, y + cut : y + side, x] = image[0, y : y + side - cut, x + end] = 1
    for step in range(cut + 1):
        image[0, y + cut - step, x + step] = 1
        image[0, y + end - cut + step, x + end - step] = 1
    return image
