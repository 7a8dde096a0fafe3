"""Direct preference optimisation (Rafailov et al. 2023): the policy itself is fitted to preferences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from workbench.core.progress import Progress, silent
from workbench.core.ranges import NonNegativeFloat, PositiveFloat, check_fields
from workbench.training.curve import Curve
from workbench.training.fit import FitConfig, fit
from workbench.training.rlhf.completions import Marks, Rows, completion_mask, token_log_probabilities
from workbench.training.rlhf.preference_losses import dpo_loss


@dataclass(frozen=True)
class DPOConfig:
    """How to train; `beta` is TRL's default."""

    fit: FitConfig
    beta: PositiveFloat = 0.1
    """How dear it is to leave the reference: what multiplies log-ratios to it."""
    sft_coef: NonNegativeFloat = 0.0
    """Weight of the preferred completions' cross entropy per token beside DPO's loss (Pang et al. 2024, equation 1;
    TRL's `rpo_alpha`): it keeps them likely, which DPO alone does not."""

    def __post_init__(self) -> None:
        check_fields(self)


class CompletionLikelihood(nn.Module):
    """Log-probability in nats of each row's completion, given its prompt."""

    def __init__(self, gpt: Any, marks: Marks) -> None:
        super().__init__()
        self.gpt, self.marks = gpt, marks

    def forward(self, tokens: Rows) -> Float[Tensor, " row"]:
        return (token_log_probabilities(self.gpt(tokens), tokens) * self.scored(tokens)).sum(dim=1)

    def scored(self, tokens: Rows) -> Bool[Tensor, "row less"]:
        """The tokens that count, from the second on."""
        return completion_mask(tokens, self.marks)[:, 1:]


@torch.no_grad()
def likelihoods(model: CompletionLikelihood, tokens: Rows, chunk: int = 128) -> Float[Tensor, " row"]:
    """The log-probabilities of many completions, `chunk` at a time."""
    return torch.cat([model(rows) for rows in tokens.split(chunk)])


def with_reference(
    batch: Callable[[int], tuple[Rows, Tensor]], reference: CompletionLikelihood
) -> Callable[[int], tuple[Rows, Float[Tensor, "2 row"]]]:
    """Batches of pairs, how likely the reference holds each row, and its completion's length in tokens.

    Costs one forward pass of the reference per batch.
    """

    def batch_and_reference(step: int) -> tuple[Rows, Float[Tensor, "2 row"]]:
        rows = batch(step)[0]
        return rows, torch.stack([likelihoods(reference, rows), reference.scored(rows).sum(dim=1).float()])

    return batch_and_reference


def paired_loss(
    logp: Float[Tensor, " row"], about: Float[Tensor, "2 row"], beta: float, sft_coef: float = 0.0
) -> Float[Tensor, ""]:
    """DPO's loss where the first half of the rows is preferred to the second, row by row; `about` as batched above."""
    ref_logp, length = about
    loss = dpo_loss(*logp.chunk(2), *ref_logp.chunk(2), beta=beta)
    return loss - sft_coef * (logp / length).chunk(2)[0].mean() if sft_coef else loss


def train_dpo(
    policy: CompletionLikelihood,
    reference: CompletionLikelihood,
    batch: Callable[[int], tuple[Rows, Tensor]],
    cfg: DPOConfig,
    checkpoint: Path | None = None,
    progress: Progress = silent,
) -> Curve:
    """Fits a policy to preferences in place and returns its curve."""
    pairs, loss = with_reference(batch, reference), partial(paired_loss, beta=cfg.beta, sft_coef=cfg.sft_coef)
    return fit(policy, pairs, loss, cfg.fit, None, checkpoint, progress)
