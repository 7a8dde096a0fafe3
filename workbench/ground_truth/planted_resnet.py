"""A residual network that detects corners, with distractors on the residual stream."""

from __future__ import annotations

import torch
from torch import Tensor

from workbench.core.metrics import LogitDifference
from workbench.core.registry import CIRCUITS
from workbench.ground_truth.known import KnownCircuit, make_matter, zero_weights
from workbench.zoo.resnet import ResNet, ResNetConfig

VERTICAL, HORIZONTAL, INK, CORNER, ECHO, SUM, HALF = range(7)
"""Channels of the stream: lines and ink from the stem; corners and an echo of the ink from the first block; from the
second, which makes the stream narrower in space and wider in channels, the corners summed, twice by half."""
PLAIN, CORNERED = range(2)
SIZE = 12
LINES = {
    VERTICAL: [[-1, 1, -1], [-1, 1, -1], [-1, 1, -1]],
    HORIZONTAL: [[-1, -1, -1], [1, 1, 1], [-1, -1, -1]],
}


@CIRCUITS.register("planted_resnet")
def planted_resnet() -> KnownCircuit:
    """Stem: lines. Block 0: corners where a vertical meets a horizontal. Block 1: sum of corners, which is read out.

    Block 1 writes its sum to two channels, half to each; both matter. One line's channel is also read out directly,
    past both blocks and through the shortcut. Distractors: ink is written by the stem, copied by block 0 and read by
    block 1, whose unit for it never fires.
    """
    model = zero_weights(
        ResNet(ResNetConfig(in_channels=1, size=SIZE, channels=(8, 12), blocks_per_group=1, n_classes=2))
    )
    for channel, kernel in LINES.items():
        model.stem.conv.weight[channel, 0] = torch.tensor(kernel)
    model.stem.conv.weight[INK, 0] = 0.1
    corners, sums = model.blocks
    corners.conv1.weight[CORNER, VERTICAL, 0, 1] = 1  # above
    corners.conv1.weight[CORNER, HORIZONTAL, 1, 2] = 1  # to the right
    corners.norm2.bias[CORNER] = -3  # the most that one line alone gives
    corners.conv1.weight[ECHO, INK] = 1
    for channel in (CORNER, ECHO):
        corners.conv2.weight[channel, channel, 1, 1] = 1
    for channel in range(8):
        sums.shortcut.weight[channel, channel] = 1
    sums.conv1.weight[SUM, CORNER] = 1
    sums.conv1.weight[ECHO, ECHO] = sums.conv1.weight[ECHO, INK] = 1
    sums.norm2.bias[ECHO] = -1000
    sums.conv2.weight[SUM, SUM, 1, 1] = sums.conv2.weight[HALF, SUM, 1, 1] = 0.5
    sums.conv2.weight[HALF + 1, ECHO, 1, 1] = 9
    read = model.readout.linear
    read.weight[CORNERED, [SUM, HALF, HALF + 1]] = 2
    read.weight[PLAIN, HORIZONTAL], read.bias[PLAIN] = 0.05, 0.02
    images, cornered = make_images()
    return KnownCircuit(
        about="Whether two lines meet in a corner; right logit minus wrong.",
        model=model,
        inputs=images,
        corrupted=images.flip(0),
        metric=LogitDifference(cornered, 1 - cornered),
        matter=make_matter(model.graph(), dict.fromkeys(("zero", "resample"), edges())),
    )


def edges() -> list[str]:
    """Return the planted circuit."""
    return [
        *(f"stem.hook_out[channel={line}] -> blocks.0.hook_in" for line in LINES),
        f"stem.hook_out[channel={HORIZONTAL}] -> readout.hook_in",
        f"blocks.0.hook_out[channel={CORNER}] -> blocks.1.hook_in",
        *(f"blocks.1.hook_out[channel={channel}] -> readout.hook_in" for channel in (SUM, HALF)),
    ]


def make_images() -> tuple[Tensor, Tensor]:
    """Draw a vertical line above the left end of a horizontal one, joined and separate, at every place; with labels."""
    places = [(x, y) for x in range(1, 6) for y in range(3)]
    images = torch.zeros(2 * len(places), 1, SIZE, SIZE, dtype=torch.float64)
    for i, (x, y) in enumerate(places):
        images[2 * i : 2 * i + 2, 0, y : y + 4, x] = 1
        for separate in (0, 1):
            images[2 * i + separate, 0, y + 4 + 3 * separate, x : x + 5] = 1
    return images, torch.tensor([1, 0]).repeat(len(places))
