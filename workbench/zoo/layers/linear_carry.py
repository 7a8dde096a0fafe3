"""Transports whose edges are entries of a weight: linear layers, convolutions and transposed convolutions."""

from __future__ import annotations

from collections.abc import Callable

from einops import einsum, rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d

from workbench.core.graph import Carry


def carry_linear(layer: nn.Linear) -> Carry:
    """Return the transport of a linear layer: edge (u, p) multiplies unit u by weight[p, u]."""
    return lambda write, mask: write @ (layer.weight.T * mask)


def carry_conv(layer: nn.Conv2d, gain: Callable[[], Tensor | float] = lambda: 1.0) -> Carry:
    """Return the transport of a convolution: edge (u, p) convolves channel u with kernel[p, u].

    `gain` returns a factor per output channel, from a folded BatchNorm.
    """

    def carry(write: Tensor, mask: Tensor) -> Tensor:
        weight = layer.weight * rearrange(mask * gain(), "node port -> port node 1 1")
        return conv2d(write, weight, None, layer.stride, layer.padding, layer.dilation)  # type: ignore[arg-type]

    return carry


def carry_transposed(layer: nn.ConvTranspose2d, gain: Callable[[], Tensor | float] = lambda: 1.0) -> Carry:
    """Return the transport of a transposed convolution, whose kernels are stored as weight[u, p]."""

    def carry(write: Tensor, mask: Tensor) -> Tensor:
        weight = layer.weight * rearrange(mask * gain(), "node port -> node port 1 1")
        steps = (layer.stride, layer.padding, layer.output_padding, layer.groups, layer.dilation)
        return conv_transpose2d(write, weight, None, *steps)  # type: ignore[arg-type]

    return carry


def carry_spread(
    weight: Callable[[], Float[Tensor, "node port height width"]], gain: Callable[[], Tensor | float] = lambda: 1.0
) -> Carry:
    """Return the transport of a projection to maps: edge (u, p) adds unit u's map weight[u, p] to channel p."""

    def carry(write: Tensor, mask: Tensor) -> Tensor:
        masked = weight() * rearrange(mask * gain(), "node port -> node port 1 1")
        return einsum(write, masked, "batch node, node port height width -> batch port height width")

    return carry


def carry_side_by_side(write: Tensor, mask: Tensor) -> Tensor:
    """Transport of a port that reads all units unchanged, each through an edge of its own."""
    return rearrange(write * mask[:, 0], "batch node -> batch 1 node")


def fold(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return gain and shift per channel of a BatchNorm in evaluation mode: y = gain * x + shift."""
    assert norm.running_var is not None and norm.running_mean is not None
    gain = norm.weight / (norm.running_var + norm.eps).sqrt()
    return gain, norm.bias - norm.running_mean * gain
