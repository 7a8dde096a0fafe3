"""Transports whose edges are entries of a weight: linear layers and convolutions."""

from __future__ import annotations

from collections.abc import Callable

from einops import rearrange
from torch import Tensor, nn
from torch.nn.functional import conv2d

from workbench.core.graph import Carry


def carry_linear(layer: nn.Linear) -> Carry:
    """Edge (u, p) multiplies unit u by weight[p, u]."""
    return lambda write, mask: write @ (layer.weight.T * mask)


def carry_conv(layer: nn.Conv2d, gain: Callable[[], Tensor | float] = lambda: 1.0) -> Carry:
    """Edge (u, p) convolves channel u with kernel[p, u], times the gain of p that a folded BatchNorm gives."""

    def carry(write: Tensor, mask: Tensor) -> Tensor:
        weight = layer.weight * rearrange(mask * gain(), "node port -> port node 1 1")
        return conv2d(write, weight, None, layer.stride, layer.padding, layer.dilation)  # type: ignore[arg-type]

    return carry


def fold(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Gain and shift of a BatchNorm in evaluation mode: y = gain * x + shift, one of each per channel."""
    assert norm.running_var is not None and norm.running_mean is not None
    gain = norm.weight / (norm.running_var + norm.eps).sqrt()
    return gain, norm.bias - norm.running_mean * gain
