"""Layers that halve or double the size of an image, and the projection of a code to feature maps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from workbench.core.errors import ConfigError
from workbench.core.graph import Carry, Nodes, Ports, Wire
from workbench.core.hooked import AxisHookPoint
from workbench.zoo.layers.linear_carry import carry_conv, carry_spread, carry_transposed, fold

Image = Float[Tensor, "batch channel height width"]
CHANNELS = "batch channel height width"


class StridedBlock(nn.Module):
    """Linear map to channels, optional BatchNorm, leaky ReLU with negative slope `slope` (0: ReLU)."""

    def __init__(self, linear: nn.Module, n_channels: int, norm: bool, slope: float) -> None:
        super().__init__()
        self.linear, self.slope = linear, slope
        self.norm = nn.BatchNorm2d(n_channels) if norm else None
        self.hook_pre, self.hook_post = AxisHookPoint(CHANNELS), AxisHookPoint(CHANNELS)

    def apply_linear(self, x: Float[Tensor, "batch *input"]) -> Image:
        """Apply the linear map."""
        return self.linear(x)

    def forward(self, x: Float[Tensor, "batch *input"]) -> Image:
        x = self.apply_linear(x)
        pre = self.hook_pre(x if self.norm is None else self.norm(x))
        return self.hook_post(leaky_relu(pre, self.slope) if self.slope else pre.relu())  # leaky_relu(x, 0) can be -0

    def gain(self) -> Tensor | float:
        """Return the factor per channel of the folded BatchNorm."""
        return 1.0 if self.norm is None else fold(self.norm)[0]

    def constant(self) -> Float[Tensor, "channel #height #width"]:
        """Return the pre-activation of each channel for an input of zeros."""
        bias = self.linear.bias if self.norm is None else fold(self.norm)[1]
        return rearrange(bias, "c -> c 1 1")  # type: ignore[arg-type]

    @property
    def carry(self) -> Carry:
        """Transport from this layer's input to its pre-activations."""
        carries: dict[type, Callable[..., Carry]] = {nn.Conv2d: carry_conv, nn.ConvTranspose2d: carry_transposed}
        return carries[type(self.linear)](self.linear, self.gain)


def halve(size: int, channels: Sequence[int]) -> int:
    """Return the side of an image that is halved once for each of the channels; it must be divisible so often."""
    side, rest = divmod(size, 2 ** len(channels))
    if rest:
        raise ConfigError(
            f"size {size} cannot be halved {len(channels)} times. Choose a multiple of {2 ** len(channels)}, or give "
            "one or more channels."
        )
    return side


def add_blocks(blocks: Mapping[str, Any], nodes: list[Nodes], ports: list[Ports], wires: list[Wire]) -> None:
    """Add blocks by name to a graph; each reads the node before it."""
    for here, block in blocks.items():
        wires.append(Wire(nodes[-1].hook, f"{here}.hook_pre", block.carry))
        ports.append(Ports(f"{here}.hook_pre", "channel", block.constant))
        nodes.append(Nodes(f"{here}.hook_post", "channel", (ports[-1].hook,)))


def downsample(n_in: int, n_out: int, norm: bool = False, slope: float = 0.0) -> StridedBlock:
    """Return a block that halves the image: 4x4 convolution with stride 2."""
    return StridedBlock(nn.Conv2d(n_in, n_out, 4, 2, padding=1, bias=not norm), n_out, norm, slope)


def upsample(n_in: int, n_out: int, norm: bool = False) -> StridedBlock:
    """Return a block that doubles the image: 4x4 transposed convolution with stride 2."""
    return StridedBlock(nn.ConvTranspose2d(n_in, n_out, 4, 2, padding=1, bias=not norm), n_out, norm, slope=0.0)


class ProjectAndReshape(StridedBlock):
    """Linear map from a code to channels of side x side maps."""

    def __init__(self, n_latents: int, n_channels: int, side: int, norm: bool = False) -> None:
        super().__init__(nn.Linear(n_latents, n_channels * side**2, bias=not norm), n_channels, norm, slope=0.0)
        self.n_channels, self.side = n_channels, side

    def apply_linear(self, x: Float[Tensor, "batch latent"]) -> Image:
        return self.to_square(self.linear(x))

    def to_square(self, x: Float[Tensor, "*batch unit"]) -> Float[Tensor, "*batch channel height width"]:
        """Reshape units to channels of a square map."""
        return rearrange(x, "... (c h w) -> ... c h w", c=self.n_channels, h=self.side)

    def constant(self) -> Float[Tensor, "channel #height #width"]:
        if self.norm is not None:
            return super().constant()
        return self.to_square(self.linear.bias)  # type: ignore[arg-type]

    @property
    def carry(self) -> Carry:
        return carry_spread(lambda: self.to_square(self.linear.weight.T), self.gain)  # type: ignore[operator]


class ImageWriter(nn.Module):
    """Linear projection of a code to maps of `side`, then transposed convolutions, the last one to the image."""

    def __init__(self, n_latents: int, channels: Sequence[int], side: int, norm: bool = False) -> None:
        super().__init__()
        self.project = ProjectAndReshape(n_latents, channels[0], side, norm)
        self.blocks = nn.ModuleList(upsample(i, o, norm) for i, o in pairwise(channels[:-1]))
        self.readout = nn.ConvTranspose2d(channels[-2], channels[-1], 4, 2, padding=1)
        self.hook_out, self.hook_image = AxisHookPoint(CHANNELS), AxisHookPoint(CHANNELS)

    def add_to_graph(self, name: str, nodes: list[Nodes], ports: list[Ports], wires: list[Wire]) -> None:
        """Add all layers to a graph under the name of this module; the first reads the last node."""
        blocks = {f"{name}.blocks.{i}": block for i, block in enumerate(self.blocks)}
        add_blocks({f"{name}.project": self.project, **blocks}, nodes, ports, wires)
        wires.append(Wire(nodes[-1].hook, f"{name}.hook_out", carry_transposed(self.readout)))
        bias: Any = self.readout.bias
        ports.append(Ports(f"{name}.hook_out", "channel", lambda: rearrange(bias, "c -> c 1 1")))
