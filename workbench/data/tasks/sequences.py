"""Short sequences for algorithmic tasks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from workbench.core.random import generator
from workbench.data.images.image_data import content_hash
from workbench.data.text.tokenizers import WordTokenizer

UNSCORED = -100
"""Target of positions without a loss: the `ignore_index` of torch's cross entropy."""
Rows = Int[Tensor, "row pos"]
Counterpart = Callable[[Rows, torch.Generator], Rows]


@dataclass(frozen=True, eq=False)
class SequenceData:
    """Training and test sequences with, at each position, the next token or UNSCORED."""

    name: str
    tokenizer: WordTokenizer
    train_inputs: Int[Tensor, "train pos"]
    train_targets: Int[Tensor, "train pos"]
    test_inputs: Int[Tensor, "test pos"]
    test_targets: Int[Tensor, "test pos"]
    counterpart: Counterpart
    """Makes a minimal change to each sequence that changes its answer."""
    source: str
    note: str = ""
    licence: str = "made in code"
    right: Callable[[Rows], Bool[Tensor, "row token"]] | None = None
    """Returns True at every right last token of each sequence, for tasks with several right answers."""

    @property
    def sha256(self) -> str:
        """Hash of all four tables."""
        tables = (self.train_inputs, self.train_targets, self.test_inputs, self.test_targets)
        return content_hash([table.numpy() for table in tables])


def score_last_token(rows: Rows) -> tuple[Int[Tensor, "row shorter"], Int[Tensor, "row shorter"]]:
    """Split rows into inputs and targets that score only the last token."""
    targets = torch.full_like(rows[:, 1:], UNSCORED)
    targets[:, -1] = rows[:, -1]
    return rows[:, :-1], targets


def random_rows(data: SequenceData, batch_size: int | None, seed: int) -> Callable[[int], tuple[Rows, Rows]]:
    """Return a function from a step to its batch; all rows if `batch_size` is None.

    Batches depend only on (seed, step).
    """

    def batch(step: int) -> tuple[Rows, Rows]:
        if batch_size is None:
            return data.train_inputs, data.train_targets
        rows = torch.randint(len(data.train_inputs), (batch_size,), generator=generator(seed, "rows", step))
        return data.train_inputs[rows], data.train_targets[rows]

    return batch
