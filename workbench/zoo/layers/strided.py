"""Layers that halve or double an image, and the one that spreads a code over it: for autoencoders and GANs."""

from __future__ import annotations

from collections.abc import Callable

from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from workbench.core.graph import Carry
from workbench.core.hooked import AxisHookPoint
from workbench.zoo.layers.linear_carry import carry_conv, carry_spread, carry_transposed, fold

Image = Float[Tensor, "batch channel height width"]
CHANNELS = "batch channel height width"


class Strided(nn.Module):
    """A linear map to channels, BatchNorm if wanted, leaky ReLU of a `slope` (0: ReLU); says how it carries writes."""

    def __init__(self, linear: nn.Module, n_channels: int, norm: bool, slope: float) -> None:
        super().__init__()
        self.linear, self.slope = linear, slope
        self.norm = nn.BatchNorm2d(n_channels) if norm else None
        self.hook_pre, self.hook_post = AxisHookPoint(CHANNELS), AxisHookPoint(CHANNELS)

    def mapped(self, x: Float[Tensor, "batch *input"]) -> Image:
        """The linear map."""
        return self.linear(x)

    def forward(self, x: Float[Tensor, "batch *input"]) -> Image:
        x = self.mapped(x)
        pre = self.hook_pre(x if self.norm is None else self.norm(x))
        return self.hook_post(leaky_relu(pre, self.slope) if self.slope else pre.relu())  # the leaky one gives -0

    def gain(self) -> Tensor | float:
        """What the folded BatchNorm multiplies each channel with."""
        return 1.0 if self.norm is None else fold(self.norm)[0]

    def constant(self) -> Float[Tensor, "channel #height #width"]:
        """What each channel's pre-activation is without any input."""
        bias = self.linear.bias if self.norm is None else fold(self.norm)[1]
        return rearrange(bias, "c -> c 1 1")  # type: ignore[arg-type]

    @property
    def carry(self) -> Carry:
        """The transport from what this layer reads to its pre-activations."""
        carries: dict[type, Callable[..., Carry]] = {nn.Conv2d: carry_conv, nn.ConvTranspose2d: carry_transposed}
        return carries[type(self.linear)](self.linear, self.gain)


def down(n_in: int, n_out: int, norm: bool = False, slope: float = 0.0) -> Strided:
    """Half the size: a 4x4 convolution of stride 2."""
    return Strided(nn.Conv2d(n_in, n_out, 4, 2, padding=1, bias=not norm), n_out, norm, slope)


def up(n_in: int, n_out: int, norm: bool = False) -> Strided:
    """Twice the size: a 4x4 transposed convolution of stride 2."""
    return Strided(nn.ConvTranspose2d(n_in, n_out, 4, 2, padding=1, bias=not norm), n_out, norm, slope=0.0)


class Spread(Strided):
    """A linear map from a code to channels of a small square."""

    def __init__(self, n_latents: int, n_channels: int, side: int, norm: bool = False) -> None:
        super().__init__(nn.Linear(n_latents, n_channels * side**2, bias=not norm), n_channels, norm, slope=0.0)
        self.n_channels, self.side = n_channels, side

    def mapped(self, x: Float[Tensor, "batch latent"]) -> Image:
        return self.squared(self.linear(x))

    def squared(self, x: Float[Tensor, "*batch unit"]) -> Float[Tensor, "*batch channel height width"]:
        """Units as channels of a square."""
        return rearrange(x, "... (c h w) -> ... c h w", c=self.n_channels, h=self.side)

    def constant(self) -> Float[Tensor, "channel #height #width"]:
        if self.norm is not None:
            return super().constant()
        return self.squared(self.linear.bias)  # type: ignore[arg-type]

    @property
    def carry(self) -> Carry:
        return carry_spread(lambda: self.squared(self.linear.weight.T), self.gain)  # type: ignore[operator]
