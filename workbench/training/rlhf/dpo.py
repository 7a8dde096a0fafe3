"""Direct preference optimisation (Rafailov et al. 2023): the policy itself is fitted to preferences."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from workbench.core.progress import Progress, silent
from workbench.training.curve import Curve
from workbench.training.fit import FitConfig, fit
from workbench.training.rlhf.completions import Marks, Rows, completion_mask, token_log_probabilities
from workbench.training.rlhf.preference_losses import dpo_loss

BETA = 0.1
"""TRL's default."""


class CompletionLikelihood(nn.Module):
    """Log-probability in nats of each row's completion, given its prompt."""

    def __init__(self, gpt: Any, marks: Marks) -> None:
        super().__init__()
        self.gpt, self.marks = gpt, marks

    def forward(self, tokens: Rows) -> Float[Tensor, " row"]:
        scored = completion_mask(tokens, self.marks)[:, 1:]
        return (token_log_probabilities(self.gpt(tokens), tokens) * scored).sum(dim=1)


@torch.no_grad()
def likelihoods(model: CompletionLikelihood, tokens: Rows, chunk: int = 128) -> Float[Tensor, " row"]:
    """The log-probabilities of many completions, `chunk` at a time."""
    return torch.cat([model(rows) for rows in tokens.split(chunk)])


def with_reference(
    batch: Callable[[int], tuple[Rows, Tensor]], reference: CompletionLikelihood
) -> Callable[[int], tuple[Rows, Float[Tensor, " row"]]]:
    """Batches of pairs, and how likely the reference holds each row. Costs one forward pass of it per batch."""

    def batch_and_reference(step: int) -> tuple[Rows, Float[Tensor, " row"]]:
        rows = batch(step)[0]
        return rows, likelihoods(reference, rows)

    return batch_and_reference


def paired_loss(logp: Float[Tensor, " row"], ref_logp: Float[Tensor, " row"], beta: float) -> Float[Tensor, ""]:
    """DPO's loss where the first half of the rows is preferred to the second, row by row."""
    return dpo_loss(*logp.chunk(2), *ref_logp.chunk(2), beta=beta)


def train_dpo(
    policy: CompletionLikelihood,
    reference: CompletionLikelihood,
    batch: Callable[[int], tuple[Rows, Tensor]],
    cfg: FitConfig,
    beta: float = BETA,
    checkpoint: Path | None = None,
    progress: Progress = silent,
) -> Curve:
    """Fits a policy to preferences in place and returns its curve."""
    pairs = with_reference(batch, reference)
    return fit(policy, pairs, partial(paired_loss, beta=beta), cfg, None, checkpoint, progress)
