"""Inputs made of tokens as one row for each example: a text is one already, a source and its answer are joined."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Int, Shaped
from torch import Tensor

from workbench.core.hooked import HookedModel
from workbench.core.source_target import SourceTarget

Rows = Int[Tensor, "row pos"]


@dataclass(frozen=True)
class SingleTensor:
    """Inputs that are one tensor and stay so."""

    def inputs(self, rows: Shaped[Tensor, "row *input"]) -> Any:
        """What the model reads."""
        return rows

    def spelled(self, tokenizer: Any, row: Int[Tensor, " pos"]) -> str:
        """The text of a row."""
        return tokenizer.decode(row)


SINGLE_TENSOR = SingleTensor()


@dataclass(frozen=True)
class JoinedPair:
    """A source of `at` tokens and, in the same row, an answer; `pad` is what shorter sources are filled with.

    `allowed` says which tokens may stand where: in the source those that the reference has in its sources, in the
    answer those it has in its answers, and at the answer's beginning only what they begin with.
    """

    at: int
    pad: int | None
    allowed: Bool[Tensor, "pos vocab"]

    def inputs(self, rows: Rows) -> SourceTarget:
        """What the model reads."""
        return SourceTarget(rows[:, : self.at], rows[:, self.at :])

    def spelled(self, tokenizer: Any, row: Int[Tensor, " pos"]) -> str:
        """The texts of a row."""
        return f"{tokenizer.decode(row[: self.at])} => {tokenizer.decode(row[self.at :])}".rstrip()

    def possible(self, rows: Rows) -> Bool[Tensor, "row pos vocab"]:
        """Which token may be put where; padding stays."""
        filled = torch.zeros_like(rows, dtype=torch.bool) if self.pad is None else rows == self.pad
        return self.allowed & ~filled[..., None]

    def drawn(self, like: Int[Tensor, " pos"], random: torch.Generator) -> Int[Tensor, " pos"]:
        """Random tokens, each one that may stand there, with as much padding."""
        row = torch.multinomial(self.allowed.float(), 1, generator=random)[:, 0].to(like)
        return row if self.pad is None else torch.where(like == self.pad, like, row)


def join_inputs(model: HookedModel, inputs: Any) -> tuple[Any, SingleTensor | JoinedPair]:
    """Inputs as one tensor, and how the model reads it."""
    if not (isinstance(inputs, tuple) and len(inputs) == 2 and "target_pos" in model.input_axes):
        return inputs, SINGLE_TENSOR
    source, target = inputs
    rows, at, vocab = torch.cat([source, target], dim=1), source.shape[1], model.cfg.d_vocab
    allowed = torch.zeros(rows.shape[1], vocab, dtype=torch.bool)
    for side, places in ((source, slice(0, at)), (target[:, 1:], slice(at + 1, None))):
        known = [token for token in side.unique().tolist() if token != model.cfg.pad]
        allowed[places, known] = True
    allowed[at, target[:, 0]] = True
    return rows, JoinedPair(at, model.cfg.pad, allowed)
