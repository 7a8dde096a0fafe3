"""Pre-activation residual network (He et al. 2016b) for small images; optionally without the shortcuts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from annotated_types import MinLen
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from workbench.core.graph import Carry, Graph, Nodes, Ports, Wire
from workbench.core.hooked import AxisHookPoint, HookedModel
from workbench.core.random import generator
from workbench.core.ranges import PositiveInt, check_fields
from workbench.core.registry import MODELS
from workbench.zoo.layers.readout import ReadOut

Image = Float[Tensor, "batch channel height width"]
BranchState = tuple[Image, Float[Tensor, "batch c_out h_out w_out"]]
CHANNELS = "batch channel height width"


@dataclass(frozen=True)
class ResNetConfig:
    """Sizes of the network. The defaults are ResNet-20 for 32x32 images."""

    in_channels: PositiveInt = 3
    size: PositiveInt = 32
    """Side of the images in pixels."""
    channels: Annotated[tuple[PositiveInt, ...], MinLen(1)] = (16, 32, 64)
    """Channels of each group of blocks. Every group but the first halves the image."""
    blocks_per_group: PositiveInt = 3
    n_classes: PositiveInt = 10
    residual: bool = True
    """If false, leave out the shortcuts: a plain network of the same depth."""

    def __post_init__(self) -> None:
        check_fields(self)


class Stem(nn.Module):
    """3x3 convolution from the image to the residual stream."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.hook_input = AxisHookPoint(CHANNELS)
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1, bias=False)
        self.hook_out = AxisHookPoint(CHANNELS)

    def forward(self, x: Image) -> Float[Tensor, "batch c_out h_out w_out"]:
        return self.hook_out(self.conv(self.hook_input(x)))


class ResBlock(nn.Module):
    """Residual branch (BatchNorm, ReLU, 3x3 convolution, twice) added to the stream.

    Where stride or width change, the shortcut is a 1x1 convolution. Without `residual` the branch replaces the stream.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, residual: bool = True) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        same = in_channels == out_channels and stride == 1
        self.residual = residual
        if residual:
            self.shortcut = nn.Identity() if same else nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)
        self.hook_resid_pre, self.hook_resid_post = AxisHookPoint(CHANNELS), AxisHookPoint(CHANNELS)
        self.hook_in = AxisHookPoint(CHANNELS, on_request=True)
        self.hook_pre, self.hook_post = AxisHookPoint(CHANNELS), AxisHookPoint(CHANNELS)
        self.hook_mid_pre, self.hook_mid = AxisHookPoint(CHANNELS), AxisHookPoint(CHANNELS)
        self.hook_out = AxisHookPoint(CHANNELS)

    def branch(self, x: Image) -> BranchState:
        """Return the stream and the output of the branch.

        A separate stage, so that sweeps over the branch's channels start after its convolutions.
        """
        x = self.hook_resid_pre(x)
        post = self.hook_post(self.hook_pre(self.norm1(self.hook_in(x))).relu())
        mid = self.hook_mid(self.hook_mid_pre(self.norm2(self.conv1(post))).relu())
        return x, self.conv2(mid)

    def add(self, state: BranchState) -> Float[Tensor, "batch c_out h_out w_out"]:
        """Add the branch to the stream, or replace the stream in a plain network."""
        x, out = state
        added = self.hook_out(out)
        return self.hook_resid_post(self.shortcut(x) + added if self.residual else added)


class NormReadOut(ReadOut):
    """Final BatchNorm and ReLU, global average pooling, linear read-out."""

    def __init__(self, width: int, n_classes: int) -> None:
        super().__init__(width, n_classes, "channel")
        self.norm = nn.BatchNorm2d(width)
        self.hook_in = AxisHookPoint(CHANNELS, on_request=True)
        self.hook_pre, self.hook_post = AxisHookPoint(CHANNELS), AxisHookPoint(CHANNELS)

    def forward(self, x: Image) -> Float[Tensor, "batch class"]:
        return super().forward(self.hook_post(self.hook_pre(self.norm(self.hook_in(x))).relu()))


@MODELS.register("resnet")
class ResNet(HookedModel):
    """Logits (batch, class) from images; every block reads the residual stream and adds to it."""

    family = "resnet"
    input_axes = CHANNELS

    def __init__(self, cfg: ResNetConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.stem = Stem(cfg.in_channels, cfg.channels[0])
        widths = [width for width in cfg.channels for _ in range(cfg.blocks_per_group)]
        starts = [
            group > 0 and block == 0 for group in range(len(cfg.channels)) for block in range(cfg.blocks_per_group)
        ]
        before = [cfg.channels[0], *widths]
        self.blocks = nn.ModuleList(
            ResBlock(i, o, 2 if start else 1, cfg.residual) for i, o, start in zip(before, widths, starts, strict=False)
        )
        self.readout = NormReadOut(widths[-1], cfg.n_classes)
        self.reset_parameters()
        blocks: list[Any] = list(self.blocks)
        parts = (part for block in blocks for part in (block.branch, block.add))
        self.setup(stages=[self.stem, *parts, self.readout])

    def reset_parameters(self) -> None:
        """Initialise the convolutions as in He et al. 2015 (normal, fan out)."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def example(self, batch: int = 2, seed: int = 0) -> Image:
        shape = (batch, self.cfg.in_channels, self.cfg.size, self.cfg.size)
        return torch.randn(shape, generator=generator(seed, "example"))

    def graph(self) -> Graph:
        """Build the graph: channels of the stem and the branches write; branches and read-out read the stream.

        In a plain network the stream is the output of the last branch.
        """
        ports: list[Ports] = []
        wires: list[Wire] = []
        nodes = [Nodes("stem.hook_out", "channel")]
        paths: dict[str, list[nn.Module]] = {"stem.hook_out": []}

        def add_port(hook: str) -> None:
            ports.append(Ports(hook, None))
            wires.extend(Wire(writer, hook, carry_through_shortcuts(tuple(path))) for writer, path in paths.items())

        blocks: Any = self.blocks
        for i, block in enumerate(blocks):
            here = f"blocks.{i}"
            add_port(f"{here}.hook_in")
            if not self.cfg.residual:
                paths.clear()
            for path in paths.values():
                path.append(block.shortcut)
            nodes.append(Nodes(f"{here}.hook_out", "channel", (f"{here}.hook_in",)))
            paths[f"{here}.hook_out"] = []
        add_port("readout.hook_in")
        return Graph(self, nodes, ports, wires)


def carry_through_shortcuts(shortcuts: Sequence[nn.Module]) -> Carry:
    """Return the transport of the stream's channels through the linear shortcuts between writer and reader."""

    def carry(write: Tensor, mask: Tensor) -> Tensor:
        masked = write[:, None] * rearrange(mask, "node port -> port node 1 1")
        stream = rearrange(masked, "batch port c h w -> (batch port) c h w")
        for shortcut in shortcuts:
            stream = shortcut(stream)
        return rearrange(stream, "(batch port) c h w -> batch port c h w", batch=len(write))

    return carry
