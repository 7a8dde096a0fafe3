"""A GPT as reward model: how much likelier one token is than another after the end of a text, learned from pairs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from workbench.core.errors import InputError
from workbench.core.progress import Progress, silent
from workbench.core.random import generator
from workbench.training.curve import Curve
from workbench.training.fit import FitConfig, fit
from workbench.training.rlhf.completions import Marks, Rows, completion_mask
from workbench.training.rlhf.preference_losses import bradley_terry_loss, last_true
from workbench.training.scores import share_score


class Scorer(nn.Module):
    """The logit of the token `good` minus that of `bad`, of a GPT: a linear read-out that every technique can read."""

    def __init__(self, gpt: Any, good: int, bad: int, marks: Marks) -> None:
        super().__init__()
        self.gpt, self.good, self.bad, self.marks = gpt, good, bad, marks

    def forward(self, tokens: Rows) -> Float[Tensor, " row"]:
        """The score of each text, read at its end."""
        end = last_true(completion_mask(tokens, self.marks))
        return self.everywhere(tokens).gather(1, end[:, None])[:, 0]

    def everywhere(self, tokens: Rows) -> Float[Tensor, "row pos"]:
        """The score after each token: what a critic expects."""
        gpt = self.gpt
        resid = gpt.run_stages(tokens, 0, len(gpt.stages) - 1)
        direction = gpt.W_U[:, self.good] - gpt.W_U[:, self.bad]
        return gpt.ln_final(resid) @ direction + gpt.b_U[self.good] - gpt.b_U[self.bad]

    @torch.no_grad()
    def center(self, tokens: Rows) -> None:
        """Shifts all scores so that those of these texts have mean zero, which no preference can tell."""
        self.gpt.b_U[self.good] -= scores(self, tokens).mean()


@torch.no_grad()
def scores(scorer: Scorer, tokens: Rows, chunk: int = 256) -> Float[Tensor, " row"]:
    """The scores of many texts, `chunk` at a time; raises InputError where one is not finite."""
    found = torch.cat([scorer(rows) for rows in tokens.split(chunk)])
    if not (finite := found.isfinite()).all():
        text = int((~finite).nonzero()[0])
        raise InputError(
            f"The reward of text {text} is {found[text].item()}, which no comparison with others would show. Look at "
            "the weights of the reward model."
        )
    return found


def pair_batches(
    first: Rows, second: Rows, prefers_first: Bool[Tensor, " pair"], batch_size: int, seed: int
) -> Callable[[int], tuple[Rows, Bool[Tensor, " pair"]]]:
    """A function from a step to its batch (preferred rows, then the others): a pure function of (seed, step).

    Every pair comes once before any comes again.
    """
    preferred, other = ordered(first, second, prefers_first)

    def batch(step: int) -> tuple[Rows, Bool[Tensor, " pair"]]:
        chosen = epoch_rows(step, len(preferred), batch_size, seed)
        return torch.cat([preferred[chosen], other[chosen]]), prefers_first[chosen]

    return batch


def ordered(first: Rows, second: Rows, prefers_first: Bool[Tensor, " pair"]) -> tuple[Rows, Rows]:
    """The preferred of each pair, and the others."""
    choice = prefers_first[:, None]
    return torch.where(choice, first, second), torch.where(choice, second, first)


def epoch_rows(step: int, n: int, batch_size: int, seed: int) -> Int[Tensor, " chosen"]:
    """Rows of one batch, each of `n` once in an epoch (the last ones of it left out when they fill no batch)."""
    epoch, place = divmod(step, n // batch_size)
    order = torch.randperm(n, generator=generator(seed, "pairs", epoch))
    return order[place * batch_size : (place + 1) * batch_size]


def train_reward_model(
    scorer: Scorer,
    batch: Callable[[int], tuple[Tensor, Tensor]],
    cfg: FitConfig,
    evaluate: Callable[[nn.Module], dict[str, Any]] | None = None,
    checkpoint: Path | None = None,
    progress: Progress = silent,
) -> Curve:
    """Fits a reward model to preferences in place and returns its curve (Christiano et al. 2017)."""
    return fit(scorer, batch, halves_loss, cfg, evaluate, checkpoint, progress)


def halves_loss(score: Float[Tensor, " row"], _: Tensor) -> Float[Tensor, ""]:
    """Bradley-Terry's loss where the first half of the rows is preferred to the second, row by row."""
    return bradley_terry_loss(*score.chunk(2))


def preference_accuracy(
    score_first: Float[Tensor, " pair"], score_second: Float[Tensor, " pair"], prefers_first: Bool[Tensor, " pair"]
) -> dict[str, Any]:
    """Share of pairs whose preferred text has the higher score, with Wilson's interval."""
    return share_score((score_first > score_second) == prefers_first)
