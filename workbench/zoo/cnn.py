"""Plain convolutional network with BatchNorm."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any

import torch
from annotated_types import MinLen
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import max_pool2d

from workbench.core.errors import ConfigError
from workbench.core.graph import Carry, Graph, Nodes, Ports, Wire
from workbench.core.hooked import AxisHookPoint, HookedModel
from workbench.core.random import generator
from workbench.core.ranges import PositiveInt, check_fields
from workbench.core.registry import MODELS
from workbench.zoo.layers.linear_carry import carry_conv, carry_linear, fold
from workbench.zoo.layers.readout import ReadOut

Image = Float[Tensor, "batch channel height width"]


@dataclass(frozen=True)
class CNNConfig:
    """Sizes of the network. The defaults fit 28x28 grey digits."""

    in_channels: PositiveInt = 1
    size: PositiveInt = 28
    """Side of the images in pixels."""
    channels: Annotated[tuple[PositiveInt, ...], MinLen(1)] = (32, 64, 64)
    """Output channels of each block."""
    n_classes: PositiveInt = 10

    def __post_init__(self) -> None:
        check_fields(self)
        if self.size < 2 ** len(self.channels):
            raise ConfigError(
                f"An image of side {self.size} cannot be halved {len(self.channels)} times. Choose a size of at least "
                f"{2 ** len(self.channels)}, or fewer channels."
            )


class ConvBlock(nn.Module):
    """3x3 convolution, BatchNorm, ReLU, 2x2 max pooling."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)
        self.hook_pre = AxisHookPoint("batch channel height width")
        self.hook_post = AxisHookPoint("batch channel height width")
        self.hook_pooled = AxisHookPoint("batch channel height width")

    def forward(self, x: Image) -> Float[Tensor, "batch c_out h_out w_out"]:
        return self.hook_pooled(max_pool2d(self.hook_post(self.hook_pre(self.norm(self.conv(x))).relu()), 2))


@MODELS.register("cnn")
class ConvNet(HookedModel):
    """Logits (batch, class) from images: convolution blocks, global average pooling, linear read-out."""

    family = "cnn"
    input_axes = "batch channel height width"

    def __init__(self, cfg: CNNConfig) -> None:
        super().__init__()
        self.cfg = cfg
        widths = (cfg.in_channels, *cfg.channels)
        self.hook_input = AxisHookPoint("batch channel height width")
        self.blocks = nn.ModuleList(ConvBlock(i, o) for i, o in pairwise(widths))
        self.readout = ReadOut(widths[-1], cfg.n_classes, "channel")
        self.setup(stages=[self.hook_input, *self.blocks, self.readout])

    def example(self, batch: int = 2, seed: int = 0) -> Image:
        shape = (batch, self.cfg.in_channels, self.cfg.size, self.cfg.size)
        return torch.randn(shape, generator=generator(seed, "example"))

    def graph(self) -> Graph:
        """Build the graph: channels write after pooling; pre-activations read (BatchNorm folded into the kernels)."""
        nodes = [Nodes("hook_input", "channel")]
        ports, wires = [], []
        blocks: Any = self.blocks
        for i, block in enumerate(blocks):
            here = f"blocks.{i}.hook_pre"
            ports.append(Ports(here, "channel", lambda b=block: rearrange(fold(b.norm)[1], "c -> c 1 1")))
            wires.append(Wire(nodes[-1].hook, here, carry_conv(block.conv, lambda b=block: fold(b.norm)[0])))
            nodes.append(Nodes(f"blocks.{i}.hook_pooled", "channel", (here,)))
        linear = self.readout.linear
        ports.append(Ports("readout.hook_logits", "class", lambda: linear.bias))
        wires.append(Wire(nodes[-1].hook, "readout.hook_logits", carry_pooled(linear)))
        return Graph(self, nodes, ports, wires)


def carry_pooled(layer: nn.Linear) -> Carry:
    """Return the transport of average pooling over space followed by a linear layer."""
    linear = carry_linear(layer)
    return lambda write, mask: linear(write.mean(dim=(2, 3)), mask)
