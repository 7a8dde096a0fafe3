"""Token inputs as one row per example: texts as they are, sources and targets concatenated."""

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
    """Inputs that are one tensor."""

    def inputs(self, rows: Shaped[Tensor, "row *input"]) -> Any:
        """Return the rows as the model's input."""
        return rows

    def spell(self, tokenizer: Any, row: Int[Tensor, " pos"]) -> str:
        """Decode a row."""
        return tokenizer.decode(row)


SINGLE_TENSOR = SingleTensor()


@dataclass(frozen=True)
class JoinedPair:
    """Source of `at` tokens and target in one row, for an encoder-decoder."""

    at: int
    """Length of the source."""
    pad: int | None
    """Padding token of sources."""
    allowed: Bool[Tensor, "pos vocab"]
    """Tokens allowed at each position: those that occur in the reference's sources, targets, or first target tokens."""

    def inputs(self, rows: Rows) -> SourceTarget:
        """Split the rows into sources and targets."""
        return SourceTarget(rows[:, : self.at], rows[:, self.at :])

    def spell(self, tokenizer: Any, row: Int[Tensor, " pos"]) -> str:
        """Decode a row."""
        return f"{tokenizer.decode(row[: self.at])} => {tokenizer.decode(row[self.at :])}".rstrip()

    def possible(self, rows: Rows) -> Bool[Tensor, "row pos vocab"]:
        """Return which token may be placed where; padding stays."""
        filled = torch.zeros_like(rows, dtype=torch.bool) if self.pad is None else rows == self.pad
        return self.allowed & ~filled[..., None]

    def draw(self, like: Int[Tensor, " pos"], random: torch.Generator) -> Int[Tensor, " pos"]:
        """Draw random allowed tokens, with as much padding as `like`."""
        row = torch.multinomial(self.allowed.float(), 1, generator=random)[:, 0].to(like)
        return row if self.pad is None else torch.where(like == self.pad, like, row)


def join_inputs(model: HookedModel, inputs: Any) -> tuple[Any, SingleTensor | JoinedPair]:
    """Return the inputs as one tensor, and how its rows are passed to the model."""
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
