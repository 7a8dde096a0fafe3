"""Accuracy of next tokens at scored positions."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from workbench.training.scores import mean_score, share_score

CHUNK = 1000
"""Sequences per forward pass."""


@torch.no_grad()
def answer_metrics(
    model: nn.Module, inputs: Int[Tensor, "row pos"], targets: Int[Tensor, "row pos"], prefix: str = "test"
) -> dict[str, dict[str, Any]]:
    """Measure `<prefix>_loss` (nats) and `<prefix>_accuracy` over scored positions, with 95 % intervals.

    Targets below 0 are not scored. Intervals treat positions as independent. Cost: One forward pass per thousand
    sequences.
    """
    was_training = model.training
    model.eval()
    losses, right = [], []
    for rows, expected in zip(inputs.split(CHUNK), targets.split(CHUNK), strict=True):
        scored = expected >= 0
        logits = model(rows)[scored].float()
        losses.append(cross_entropy(logits, expected[scored], reduction="none"))
        right.append(logits.argmax(dim=-1) == expected[scored])
    model.train(was_training)
    return {f"{prefix}_loss": mean_score(torch.cat(losses)), f"{prefix}_accuracy": share_score(torch.cat(right))}
