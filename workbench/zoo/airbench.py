"""Convolutional network designed to train fast on CIFAR-10 (Jordan 2024, "94% on CIFAR-10 in 3.29 seconds")."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any

import torch
from annotated_types import MinLen
from einops import rearrange, reduce
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import gelu, max_pool2d

from workbench.core.errors import ConfigError
from workbench.core.graph import Carry, Graph, Nodes, Ports, Wire
from workbench.core.hooked import AxisHookPoint, HookedModel
from workbench.core.random import generator
from workbench.core.ranges import PositiveFloat, PositiveInt, check_fields
from workbench.core.registry import MODELS
from workbench.zoo.layers.linear_carry import carry_conv, carry_linear

Image = Float[Tensor, "batch channel height width"]
CHANNELS = "batch channel height width"


@dataclass(frozen=True)
class AirbenchConfig:
    """Sizes of the network. The defaults are those of airbench94, for 32x32 colour images."""

    in_channels: PositiveInt = 3
    size: PositiveInt = 32
    channels: Annotated[tuple[PositiveInt, ...], MinLen(1)] = (64, 256, 256)
    """Output channels of each block of two convolutions."""
    n_classes: PositiveInt = 10
    patch: PositiveInt = 2
    """Side in pixels of the patches that the frozen first layer whitens."""
    scale: PositiveFloat = 1 / 9
    """Factor applied to the logits."""

    def __post_init__(self) -> None:
        check_fields(self)
        least = 2 ** len(self.channels) + self.patch - 1
        if self.size < least:
            raise ConfigError(f"An image of side {self.size} is too small for these blocks. Choose at least {least}.")

    @property
    def n_whitened(self) -> int:
        """Number of channels of the whitening layer: two (plus and minus) per principal component of a patch."""
        return 2 * self.in_channels * self.patch**2


class Whitening(nn.Module):
    """Frozen convolution that decorrelates the values of a patch, with a trainable bias, then GELU."""

    def __init__(self, in_channels: int, out_channels: int, patch: int) -> None:
        super().__init__()
        self.hook_input = AxisHookPoint(CHANNELS)
        self.conv = nn.Conv2d(in_channels, out_channels, patch)
        self.conv.weight.requires_grad_(False)
        self.hook_pre, self.hook_post = AxisHookPoint(CHANNELS), AxisHookPoint(CHANNELS)

    def forward(self, x: Image) -> Float[Tensor, "batch c_out h_out w_out"]:
        return self.hook_post(gelu(self.hook_pre(self.conv(self.hook_input(x)))))

    def constant(self) -> Float[Tensor, "channel 1 1"]:
        """Return the pre-activation of each channel for an input of zeros (the bias)."""
        assert self.conv.bias is not None
        return rearrange(self.conv.bias, "c -> c 1 1")


class NormConv(nn.Module):
    """3x3 convolution, max pooling over `pool`x`pool` squares, BatchNorm without a trainable gain, GELU."""

    def __init__(self, in_channels: int, out_channels: int, pool: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
        self.pool = pool
        self.norm = nn.BatchNorm2d(out_channels)
        self.norm.weight.requires_grad_(False)
        self.hook_conv = AxisHookPoint(CHANNELS)
        self.hook_pre, self.hook_post = AxisHookPoint(CHANNELS), AxisHookPoint(CHANNELS)

    def forward(self, x: Image) -> Float[Tensor, "batch c_out h_out w_out"]:
        x = self.hook_conv(self.conv(x))
        pooled = max_pool2d(x, self.pool) if self.pool > 1 else x
        return self.hook_post(gelu(self.hook_pre(self.norm(pooled))))


class MaxReadOut(nn.Module):
    """Global max pooling over space, then a linear map without bias, multiplied by `scale`."""

    def __init__(self, width: int, n_classes: int, scale: float) -> None:
        super().__init__()
        self.linear, self.scale = nn.Linear(width, n_classes, bias=False), scale
        self.hook_pooled, self.hook_logits = AxisHookPoint("batch channel"), AxisHookPoint("batch class")

    def forward(self, x: Image) -> Float[Tensor, "batch class"]:
        pooled = self.hook_pooled(reduce(x, "batch channel height width -> batch channel", "max"))
        return self.hook_logits(self.linear(pooled) * self.scale)

    def carry(self) -> Carry:
        """Return the transport in which edge (u, p) multiplies pooled channel u by the scaled weight[p, u]."""
        linear = carry_linear(self.linear)
        return lambda write, mask: linear(write, mask) * self.scale


@MODELS.register("airbench")
class Airbench(HookedModel):
    """Logits (batch, class) from images: whitening, blocks of two convolutions, max over space, linear read-out.

    The weights of the whitening layer are computed from training images in `recipes/cifar10_fast.py`.
    """

    family = "airbench"
    input_axes = CHANNELS

    def __init__(self, cfg: AirbenchConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.whiten = Whitening(cfg.in_channels, cfg.n_whitened, cfg.patch)
        widths = (cfg.n_whitened, *cfg.channels)
        pairs = ((NormConv(i, o, pool=2), NormConv(o, o)) for i, o in pairwise(widths))
        self.blocks = nn.ModuleList(layer for pair in pairs for layer in pair)
        self.readout = MaxReadOut(widths[-1], cfg.n_classes, cfg.scale)
        self.reset_parameters()
        self.setup(stages=[self.whiten, *self.blocks, self.readout])

    def reset_parameters(self) -> None:
        """Initialise the 3x3 convolutions as partial identities: the first output channels copy the input channels."""
        blocks: Any = self.blocks
        for block in blocks:
            nn.init.dirac_(block.conv.weight[: block.conv.in_channels].data)

    def example(self, batch: int = 2, seed: int = 0) -> Image:
        shape = (batch, self.cfg.in_channels, self.cfg.size, self.cfg.size)
        return torch.randn(shape, generator=generator(seed, "example"))

    def graph(self) -> Graph:
        """Build the graph: channels write after GELU (the last ones after pooling); the convolutions' channels read.

        Pooling and BatchNorm act on each channel separately and are part of the node.
        """
        nodes = [Nodes("whiten.hook_input", "channel"), Nodes("whiten.hook_post", "channel", ("whiten.hook_pre",))]
        ports = [Ports("whiten.hook_pre", "channel", self.whiten.constant)]
        wires = [Wire("whiten.hook_input", "whiten.hook_pre", carry_conv(self.whiten.conv))]
        blocks: Any = self.blocks
        for i, block in enumerate(blocks):
            here, last = f"blocks.{i}.hook_conv", i == len(self.blocks) - 1
            ports.append(Ports(here, "channel"))
            wires.append(Wire(nodes[-1].hook, here, carry_conv(block.conv)))
            nodes.append(Nodes("readout.hook_pooled" if last else f"blocks.{i}.hook_post", "channel", (here,)))
        ports.append(Ports("readout.hook_logits", "class"))
        wires.append(Wire(nodes[-1].hook, "readout.hook_logits", self.readout.carry()))
        return Graph(self, nodes, ports, wires)
