"""Direct preference optimisation (DPO, Rafailov et al. 2023): fit the policy itself to preferences.

1. Compute the log-probability of each completion of a batch of pairs under the policy and under the fixed reference.
2. The implied reward of a completion is `beta` times its log-ratio.
3. Descend the gradient of `dpo_loss`, the Bradley-Terry loss of these rewards (equation 7), plus `sft_coef` times the
   cross entropy of the preferred completions.
"""

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
    """Settings of DPO; `beta` is TRL's default."""

    fit: FitConfig
    beta: PositiveFloat = 0.1
    """Factor of the log-ratios to the reference; larger values keep the policy nearer to it."""
    sft_coef: NonNegativeFloat = 0.0
    """Weight of the preferred completions' cross entropy per token, which keeps them likely.

    Pang et al. 2024, equation 1; TRL's `rpo_alpha`.
    """

    def __post_init__(self) -> None:
        check_fields(self)


class CompletionLikelihood(nn.Module):
    """Log-probability in nats of each row's completion, given its prompt."""

    def __init__(self, gpt: Any, marks: Marks) -> None:
        super().__init__()
        self.gpt, self.marks = gpt, marks

    def forward(self, tokens: Rows) -> Float[Tensor, " row"]:
        return (token_log_probabilities(self.gpt(tokens), tokens) * self.mask_completions(tokens)).sum(dim=1)

    def mask_completions(self, tokens: Rows) -> Bool[Tensor, "row less"]:
        """Return True at the tokens of completions, from the second token on."""
        return completion_mask(tokens, self.marks)[:, 1:]


@torch.no_grad()
def likelihoods(model: CompletionLikelihood, tokens: Rows, chunk: int = 128) -> Float[Tensor, " row"]:
    """Compute the log-probabilities of many completions, `chunk` at a time."""
    return torch.cat([model(rows) for rows in tokens.split(chunk)])


def add_reference(
    batch: Callable[[int], tuple[Rows, Tensor]], reference: CompletionLikelihood
) -> Callable[[int], tuple[Rows, Float[Tensor, "2 row"]]]:
    """Add to each batch of pairs the reference's log-probability of each row and its completion's length in tokens.

    Cost: One forward pass of the reference per batch.
    """

    def batch_and_reference(step: int) -> tuple[Rows, Float[Tensor, "2 row"]]:
        rows = batch(step)[0]
        return rows, torch.stack([likelihoods(reference, rows), reference.mask_completions(rows).sum(dim=1).float()])

    return batch_and_reference


def paired_loss(
    logp: Float[Tensor, " row"], about: Float[Tensor, "2 row"], beta: float, sft_coef: float = 0.0
) -> Float[Tensor, ""]:
    """DPO's loss if row i of the first half is preferred to row i of the second; `about` as in `add_reference`."""
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
    """Fit a policy to preferences in place and return its curve.

    Args:
        policy: Log-probabilities of the network to train.
        reference: Log-probabilities of the fixed network.
        batch: Returns the rows of a step, preferred ones first.
        cfg: Settings.
        checkpoint: File of the training state, see `fit`.
        progress: Called with the steps done and all steps.
    """
    pairs, loss = add_reference(batch, reference), partial(paired_loss, beta=cfg.beta, sft_coef=cfg.sft_coef)
    return fit(policy, pairs, loss, cfg.fit, None, checkpoint, progress)
