"""Completions in rows of tokens: masks, log-probabilities and fine-tuning batches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from workbench.core.errors import InputError
from workbench.core.random import generator

Rows = Int[Tensor, "row pos"]
UNSCORED = -100
"""Target of positions without a loss: the `ignore_index` of torch's cross entropy."""


@dataclass(frozen=True)
class Marks:
    """Tokens that structure a row: `prompt_end` ends the prompt, `end` the text and fills up the row."""

    prompt_end: int
    end: int


def completion_mask(tokens: Rows, marks: Marks) -> Bool[Tensor, "row pos"]:
    """Return True at the tokens of each row's completion, its first `end` included.

    Raises:
        InputError: If a row has no completion: no mark that ends its prompt, or nothing after it.
    """
    begun = after_first(tokens == marks.prompt_end)
    mask = begun & ~after_first(begun & (tokens == marks.end))
    if not (whole := mask.any(dim=1)).all():
        row = int((~whole).nonzero()[0])
        raise InputError(
            f"Text {row} has no completion: the token {marks.prompt_end}, which ends a prompt, "
            f"{'is its last one' if (tokens[row] == marks.prompt_end).any() else 'is not in it'}. "
            "Write prompt, mark, completion and end mark in this order."
        )
    return mask


def after_first(marked: Bool[Tensor, "row pos"]) -> Bool[Tensor, "row pos"]:
    """Return True at the positions after the first marked one of their row."""
    return marked.cumsum(dim=1) - marked.long() > 0


def stack_rows(texts: list[Int[Tensor, " _"]], marks: Marks) -> Rows:
    """Stack texts of any lengths, each ending with `end`, filled up with `end`."""
    for number, text in enumerate(texts):
        if not len(text) or text[-1] != marks.end:
            last = f"ends with token {int(text[-1])}" if len(text) else "is empty"
            raise InputError(
                f"Text {number} {last} and not with its end mark (token {marks.end}). Append the mark, or leave an "
                "unfinished text out."
            )
    return torch.nn.utils.rnn.pad_sequence(texts, batch_first=True, padding_value=marks.end)


def next_in_completion(rows: Rows, marks: Marks) -> tuple[Int[Tensor, "row less"], Int[Tensor, "row less"]]:
    """Return inputs, and at each position the next token if it belongs to the completion, else UNSCORED."""
    expected = torch.where(completion_mask(rows, marks), rows, UNSCORED)
    return rows[:, :-1], expected[:, 1:]


def random_completions(rows: Rows, marks: Marks, batch_size: int, seed: int) -> Callable[[int], tuple[Rows, Rows]]:
    """Return a function from a step to its batch for fine-tuning, which depends only on (seed, step)."""
    inputs, targets = next_in_completion(rows, marks)

    def batch(step: int) -> tuple[Rows, Rows]:
        chosen = torch.randint(len(rows), (batch_size,), generator=generator(seed, "completions", step))
        return inputs[chosen], targets[chosen]

    return batch


def token_log_probabilities(logits: Float[Tensor, "row pos vocab"], tokens: Rows) -> Float[Tensor, "row less"]:
    """Compute the log-probability in nats of each token but the first, given those before it."""
    return logits[:, :-1].log_softmax(dim=-1).gather(-1, tokens[:, 1:, None])[..., 0]
