"""Reward model: a GPT's difference of two logits at the end of a text, fitted to preferences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from workbench.core.errors import InputError
from workbench.core.random import generator
from workbench.training.rlhf.completions import Marks, Rows, completion_mask
from workbench.training.rlhf.preference_losses import bradley_terry_loss, last_true
from workbench.training.scores import share_score


class Scorer(nn.Module):
    """Logit of the token `good` minus that of `bad` of a GPT, a linear read-out."""

    def __init__(self, gpt: Any, good: int, bad: int, marks: Marks) -> None:
        super().__init__()
        self.gpt, self.good, self.bad, self.marks = gpt, good, bad, marks

    def forward(self, tokens: Rows) -> Float[Tensor, " row"]:
        """Compute the score of each text at its end."""
        end = last_true(completion_mask(tokens, self.marks))
        return self.score_positions(tokens).gather(1, end[:, None])[:, 0]

    def score_positions(self, tokens: Rows) -> Float[Tensor, "row pos"]:
        """Compute the score after each token, as a critic does."""
        gpt = self.gpt
        resid = gpt.run_stages(tokens, 0, len(gpt.stages) - 1)
        direction = gpt.W_U[:, self.good] - gpt.W_U[:, self.bad]
        return gpt.ln_final(resid) @ direction + gpt.b_U[self.good] - gpt.b_U[self.bad]

    @torch.no_grad()
    def center(self, tokens: Rows) -> None:
        """Shift all scores so that those of these texts have mean zero; preferences do not determine the mean."""
        self.gpt.b_U[self.good] -= score_texts(self, tokens).mean()


@torch.no_grad()
def score_texts(scorer: Scorer, tokens: Rows, chunk: int = 256) -> Float[Tensor, " row"]:
    """Compute the scores of many texts, `chunk` at a time; raises InputError if one is not finite."""
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
    """Return a function from a step to its batch (preferred rows, then the others), which depends only on (seed, step).

    An epoch is a random order of the pairs.
    """
    preferred, other = order_pairs(first, second, prefers_first)

    def batch(step: int) -> tuple[Rows, Bool[Tensor, " pair"]]:
        chosen = epoch_rows(step, len(preferred), batch_size, seed)
        return torch.cat([preferred[chosen], other[chosen]]), prefers_first[chosen]

    return batch


def order_pairs(first: Rows, second: Rows, prefers_first: Bool[Tensor, " pair"]) -> tuple[Rows, Rows]:
    """Return the preferred rows and the others."""
    choice = prefers_first[:, None]
    return torch.where(choice, first, second), torch.where(choice, second, first)


def epoch_rows(step: int, n: int, batch_size: int, seed: int) -> Int[Tensor, " chosen"]:
    """Return the rows of one batch; an epoch is a random order of `n` rows without the remainder."""
    epoch, place = divmod(step, n // batch_size)
    order = torch.randperm(n, generator=generator(seed, "pairs", epoch))
    return order[place * batch_size : (place + 1) * batch_size]


def halves_loss(score: Float[Tensor, " row"], _: Tensor) -> Float[Tensor, ""]:
    """Bradley-Terry loss if row i of the first half is preferred to row i of the second (Christiano et al. 2017)."""
    return bradley_terry_loss(*score.chunk(2))


def preference_accuracy(
    score_first: Float[Tensor, " pair"], score_second: Float[Tensor, " pair"], prefers_first: Bool[Tensor, " pair"]
) -> dict[str, Any]:
    """Score the share of pairs whose preferred text has the higher score."""
    return share_score((score_first > score_second) == prefers_first)
