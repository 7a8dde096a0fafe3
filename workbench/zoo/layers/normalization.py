"""Layer norm and RMS norm with TransformerLens's hooks; fused unless the scale is hooked."""

from __future__ import annotations

from typing import Literal

import torch
from einops import einsum
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import layer_norm, rms_norm

from workbench.core.hooked import AxisHookPoint

Normalization = Literal["layer", "rms", "none"]
EPSILON = 1e-5


class Norm(nn.Module):
    """Layer norm ("layer") or root mean square norm ("rms") over d_model, with a trainable gain."""

    def __init__(self, d_model: int, kind: Literal["layer", "rms"]) -> None:
        super().__init__()
        self.kind = kind
        self.w = nn.Parameter(torch.ones(d_model))
        self.b = nn.Parameter(torch.zeros(d_model)) if kind == "layer" else None
        self.hook_scale = AxisHookPoint("batch pos d_model", on_request=True)
        self.hook_normalized = AxisHookPoint("batch pos d_model")

    def forward(self, x: Float[Tensor, "batch pos d_model"]) -> Float[Tensor, "batch pos d_model"]:
        if not self.hook_scale.is_observed:
            return self.hook_normalized(self.apply_to(x))
        if self.b is not None:
            x = x - x.mean(dim=-1, keepdim=True)
        scale = self.hook_scale((x.pow(2).mean(dim=-1, keepdim=True) + EPSILON).sqrt())
        y = x / scale * self.w
        return self.hook_normalized(y if self.b is None else y + self.b)

    def apply_to(self, x: Float[Tensor, "... d_model"]) -> Float[Tensor, "... d_model"]:
        """Apply the norm without hooks, with any leading axes."""
        if self.b is None:
            return rms_norm(x, self.w.shape, self.w, EPSILON)
        return layer_norm(x, self.w.shape, self.w, self.b, EPSILON)

    def pull(
        self, x: Float[Tensor, "batch pos d_model"], gradient: Float[Tensor, "port batch pos d_model"]
    ) -> Float[Tensor, "port batch pos d_model"]:
        """Multiply gradients at the normalized activation by the norm's transposed Jacobian.

        Args:
            x: Activation before the norm, the same for all ports.
            gradient: Gradient at the normalized activation, for each port.

        Returns:
            Gradient at x, for each port.
        """
        if self.b is not None:
            x = x - x.mean(dim=-1, keepdim=True)
        scale = (x.pow(2).mean(dim=-1, keepdim=True) + EPSILON).sqrt()
        unit, pulled = x / scale, gradient * (self.w / scale)
        pulled -= (
            unit * einsum(pulled, unit / x.shape[-1], "port batch pos m, batch pos m -> port batch pos")[..., None]
        )
        return pulled if self.b is None else pulled - pulled.mean(dim=-1, keepdim=True)


class Unnormalized(nn.Module):
    """Identity, in place of a norm."""

    def forward(self, x: Float[Tensor, "... d_model"]) -> Float[Tensor, "... d_model"]:
        return x

    apply_to = forward

    def pull(self, x: Tensor, gradient: Float[Tensor, "port batch pos d_model"]) -> Tensor:
        """Return the gradients unchanged."""
        return gradient


def make_norm(d_model: int, kind: Normalization) -> Norm | Unnormalized:
    """Return a norm of the given kind."""
    return Unnormalized() if kind == "none" else Norm(d_model, kind)
