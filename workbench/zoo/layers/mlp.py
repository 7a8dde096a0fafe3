"""MLP of a transformer block, with TransformerLens's weights and hook names."""

from __future__ import annotations

from functools import partial
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import gelu, linear, relu

from workbench.core.hooked import AxisHookPoint

Stream = Float[Tensor, "batch pos d_model"]
Neurons = Float[Tensor, "batch pos d_mlp"]
Activation = Literal["gelu", "gelu_tanh", "relu"]
"""GPT-2 uses "gelu_tanh", an approximation of "gelu"."""


class MLP(nn.Module):
    """Two linear maps with a non-linearity between them, applied at each position."""

    def __init__(self, d_model: int, d_mlp: int, activation: Activation) -> None:
        super().__init__()
        self.act = {"gelu": gelu, "gelu_tanh": partial(gelu, approximate="tanh"), "relu": relu}[activation]
        self.W_in = nn.Parameter(torch.empty(d_model, d_mlp))
        self.b_in = nn.Parameter(torch.zeros(d_mlp))
        self.W_out = nn.Parameter(torch.empty(d_mlp, d_model))
        self.b_out = nn.Parameter(torch.zeros(d_model))
        self.hook_pre = AxisHookPoint("batch pos d_mlp")
        self.hook_post = AxisHookPoint("batch pos d_mlp")

    def compute_post(self, x: Stream) -> Neurons:
        """Compute the activations of the neurons, before their hook."""
        return self.act(self.hook_pre(linear(x, self.W_in.T, self.b_in)))

    def project_out(self, post: Neurons) -> Stream:
        """Project the neurons' activations through `W_out` and add `b_out`."""
        return linear(self.hook_post(post), self.W_out.T, self.b_out)
