"""Short sequences with an answer: tasks made in code, for networks whose algorithm is to be found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from workbench.core.random import generator
from workbench.data.image_data import content_hash
from workbench.data.tokenizers import WordTokenizer

UNSCORED = -100
"""In the place of a target that nobody asks for: what torch's cross entropy leaves out."""
Rows = Int[Tensor, "row pos"]
Counterpart = Callable[[Rows, torch.Generator], Rows]


@dataclass(frozen=True, eq=False)
class SequenceData:
    """Sequences to train on and to test: at each position the token that follows, or UNSCORED."""

    name: str
    tokenizer: WordTokenizer
    train_inputs: Int[Tensor, "train pos"]
    train_targets: Int[Tensor, "train pos"]
    test_inputs: Int[Tensor, "test pos"]
    test_targets: Int[Tensor, "test pos"]
    counterpart: Counterpart
    """Makes of each sequence one of another answer, changing as little as it can."""
    source: str
    note: str = ""
    licence: str = "made in code"
    right: Callable[[Rows], Bool[Tensor, "row token"]] | None = None
    """Marks every right last token of each sequence, where a task has more than one."""

    @property
    def sha256(self) -> str:
        """Hash of all four tables."""
        tables = (self.train_inputs, self.train_targets, self.test_inputs, self.test_targets)
        return content_hash([table.numpy() for table in tables])


def answers_only(rows: Rows) -> tuple[Int[Tensor, "row shorter"], Int[Tensor, "row shorter"]]:
    """Inputs and targets of rows whose last token alone is to be predicted."""
    targets = torch.full_like(rows[:, 1:], UNSCORED)
    targets[:, -1] = rows[:, -1]
    return rows[:, :-1], targets


def random_rows(data: SequenceData, batch_size: int | None, seed: int) -> Callable[[int], tuple[Rows, Rows]]:
    """A function from a step to its batch, a pure function of (seed, step); all rows for a batch size of None."""

    def batch(step: int) -> tuple[Rows, Rows]:
        if batch_size is None:
            return data.train_inputs, data.train_targets
        rows = torch.randint(len(data.train_inputs), (batch_size,), generator=generator(seed, "rows", step))
        return data.train_inputs[rows], data.train_targets[rows]

    return batch
