"""How often a model's next token is the one that was asked for."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from workbench.training.supervised import mean_interval, wilson_interval

CHUNK = 1000
"""Sequences in one forward pass."""


@torch.no_grad()
def answer_metrics(
    model: nn.Module, inputs: Int[Tensor, "row pos"], targets: Int[Tensor, "row pos"], prefix: str = "test"
) -> dict[str, dict[str, Any]]:
    """`<prefix>_loss` (nats) and `<prefix>_accuracy` over scored positions, with 95 % intervals; targets below 0 are
    not scored. Intervals take positions as independent. One forward pass for each thousand sequences."""
    was_training = model.training
    model.eval()
    losses, right = [], []
    for rows, wanted in zip(inputs.split(CHUNK), targets.split(CHUNK), strict=True):
        scored = wanted >= 0
        logits = model(rows)[scored].float()
        losses.append(cross_entropy(logits, wanted[scored], reduction="none"))
        right.append(logits.argmax(dim=-1) == wanted[scored])
    model.train(was_training)
    loss, correct = torch.cat(losses), torch.cat(right)
    n = len(loss)
    share = correct.double().mean().item()
    return {
        f"{prefix}_loss": {"value": loss.double().mean().item(), "n": n, "interval": mean_interval(loss)},
        f"{prefix}_accuracy": {"value": share, "n": n, "interval": wilson_interval(int(correct.sum()), n)},
    }
