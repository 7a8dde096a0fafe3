"""Where in its row of tokens a completion is: after the prompt's last token, up to the end of the text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from workbench.core.random import generator

Rows = Int[Tensor, "row pos"]
UNSCORED = -100
"""In the place of a target that nobody asks for: what torch's cross entropy leaves out."""


@dataclass(frozen=True)
class Marks:
    """The tokens that structure a row: `prompt_end` ends the prompt, `end` the text and fills up the row."""

    prompt_end: int
    end: int


def completion_mask(tokens: Rows, marks: Marks) -> Bool[Tensor, "row pos"]:
    """True at the tokens of each row's completion, its first `end` included."""
    begun = after_first(tokens == marks.prompt_end)
    return begun & ~after_first(begun & (tokens == marks.end))


def after_first(marked: Bool[Tensor, "row pos"]) -> Bool[Tensor, "row pos"]:
    """True at the positions that come after the first marked one of their row."""
    return marked.cumsum(dim=1) - marked.long() > 0


def rows_of(texts: list[Int[Tensor, " _"]], marks: Marks) -> Rows:
    """Texts of any lengths as rows of one tensor, filled up with `end`."""
    return torch.nn.utils.rnn.pad_sequence(texts, batch_first=True, padding_value=marks.end)


def next_in_completion(rows: Rows, marks: Marks) -> tuple[Int[Tensor, "row less"], Int[Tensor, "row less"]]:
    """Inputs, and at each position the token that follows where that is one of the completion, else UNSCORED."""
    wanted = torch.where(completion_mask(rows, marks), rows, UNSCORED)
    return rows[:, :-1], wanted[:, 1:]


def random_completions(rows: Rows, marks: Marks, batch_size: int, seed: int) -> Callable[[int], tuple[Rows, Rows]]:
    """A function from a step to its batch for fine-tuning, a pure function of (seed, step)."""
    inputs, targets = next_in_completion(rows, marks)

    def batch(step: int) -> tuple[Rows, Rows]:
        chosen = torch.randint(len(rows), (batch_size,), generator=generator(seed, "completions", step))
        return inputs[chosen], targets[chosen]

    return batch


def token_log_probabilities(logits: Float[Tensor, "row pos vocab"], tokens: Rows) -> Float[Tensor, "row less"]:
    """Log-probability in nats of each token but the first, given those before it."""
    return logits[:, :-1].log_softmax(dim=-1).gather(-1, tokens[:, 1:, None])[..., 0]
