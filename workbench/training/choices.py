"""Which of several answers a language model finds likeliest."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from workbench.training.supervised import wilson_interval

CHUNK = 64
"""Rows in one forward pass."""


@torch.no_grad()
def answer_likelihoods(
    model: nn.Module, inputs: Int[Tensor, "row pos"], targets: Int[Tensor, "row pos"]
) -> Float[Tensor, " row"]:
    """Log probability (nats) of each row's answer: the sum over its tokens; targets below 0 belong to no answer.

    Costs one forward pass.
    """
    found = []
    for rows, wanted in zip(inputs.split(CHUNK), targets.split(CHUNK), strict=True):
        losses = cross_entropy(model(rows).float().transpose(1, 2), wanted, reduction="none")
        found.append(-losses.sum(dim=1))
    return torch.cat(found)


def share_right(right: list[bool], name: str) -> dict[str, dict[str, Any]]:
    """The share of questions answered rightly, as a metric with its 95 % interval."""
    n, correct = len(right), sum(right)
    return {name: {"value": correct / n, "n": n, "interval": wilson_interval(correct, n)}}
