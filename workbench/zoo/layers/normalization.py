"""Layer norm and RMS norm with TransformerLens's hook points; fused unless the scale is asked for."""

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
    """Divides by the spread over `d_model`: the standard deviation (layer) or the root mean square (rms)."""

    def __init__(self, d_model: int, kind: Literal["layer", "rms"]) -> None:
        super().__init__()
        self.kind = kind
        self.w = nn.Parameter(torch.ones(d_model))
        self.b = nn.Parameter(torch.zeros(d_model)) if kind == "layer" else None
        self.hook_scale = AxisHookPoint("batch pos d_model", on_request=True)
        self.hook_normalized = AxisHookPoint("batch pos d_model")

    def forward(self, x: Float[Tensor, "batch pos d_model"]) -> Float[Tensor, "batch pos d_model"]:
        if not self.hook_scale.wanted:
            return self.hook_normalized(self.apply_to(x))
        if self.b is not None:
            x = x - x.mean(dim=-1, keepdim=True)
        scale = self.hook_scale((x.pow(2).mean(dim=-1, keepdim=True) + EPSILON).sqrt())
        y = x / scale * self.w
        return self.hook_normalized(y if self.b is None else y + self.b)

    def apply_to(self, x: Float[Tensor, "... d_model"]) -> Float[Tensor, "... d_model"]:
        """The same function without hook points, on any leading axes."""
        if self.b is None:
            return rms_norm(x, self.w.shape, self.w, EPSILON)
        return layer_norm(x, self.w.shape, self.w, self.b, EPSILON)

    def pull(
        self, x: Float[Tensor, "batch pos d_model"], gradient: Float[Tensor, "port batch pos d_model"]
    ) -> Float[Tensor, "port batch pos d_model"]:
        """Gradients at ports that all read x, from those at the normalized x (the transposed Jacobian's product)."""
        if self.b is not None:
            x = x - x.mean(dim=-1, keepdim=True)
        scale = (x.pow(2).mean(dim=-1, keepdim=True) + EPSILON).sqrt()
        unit, pulled = x / scale, gradient * (self.w / scale)
        pulled -= (
            unit * einsum(pulled, unit / x.shape[-1], "port batch pos m, batch pos m -> port batch pos")[..., None]
        )
        return pulled if self.b is None else pulled - pulled.mean(dim=-1, keepdim=True)


class Unnormalized(nn.Module):
    """In the place of a norm where there is none."""

    def forward(self, x: Float[Tensor, "... d_model"]) -> Float[Tensor, "... d_model"]:
        return x

    apply_to = forward

    def pull(self, x: Tensor, gradient: Float[Tensor, "port batch pos d_model"]) -> Tensor:
        """The gradients as they are."""
        return gradient


def norm(d_model: int, kind: Normalization) -> Norm | Unnormalized:
    """The norm of that kind."""
    return Unnormalized() if kind == "none" else Norm(d_model, kind)
