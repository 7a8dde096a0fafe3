"""Pairs of source and target sequences for encoder-decoders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from workbench.core.errors import ConfigError
from workbench.core.random import generator
from workbench.core.source_target import SourceTarget
from workbench.data.images.image_data import content_hash
from workbench.data.pairs.pair_tokenizer import END, PAD, PairTokenizer
from workbench.data.tasks.sequences import UNSCORED

PairBatch = tuple[SourceTarget, Int[Tensor, "batch target_pos"]]
"""Inputs of the network (targets without their last token), and the next token at each target position."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Padded sources and targets; targets run from the start to the end token.

    A source with several right answers has several rows.
    """

    source: Int[Tensor, "row source_pos"]
    target: Int[Tensor, "row target_pos"]

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, rows: slice | Int[Tensor, " some"]) -> Pairs:
        return Pairs(self.source[rows], self.target[rows])


@dataclass(frozen=True, eq=False)
class PairData:
    """Training, validation and test pairs; no source occurs in two splits."""

    name: str
    tokenizer: PairTokenizer
    train: Pairs
    validation: Pairs
    test: Pairs
    source: str
    note: str = ""
    licence: str = "made in code"

    @property
    def sha256(self) -> str:
        """Hash of all six tables."""
        splits = (self.train, self.validation, self.test)
        return content_hash([table.numpy() for pairs in splits for table in (pairs.source, pairs.target)])


def encode_pairs(texts: Sequence[tuple[str, str]], tokenizer: PairTokenizer) -> Pairs:
    """Tokenize pairs of texts and append the end token to targets."""
    pad, end = tokenizer.ids[PAD], tokenizer.ids[END]
    sources = [tokenizer.source_ids(source) for source, _ in texts]
    targets = [[*tokenizer.target_ids(target), end] for _, target in texts]
    return Pairs(pad_rows(sources, pad), pad_rows(targets, pad))


def pad_rows(rows: list[list[int]], pad: int) -> Int[Tensor, "row pos"]:
    """Stack rows of different lengths, padded on the right."""
    lengths = np.array([len(row) for row in rows])
    table = np.full((len(rows), lengths.max()), pad)
    table[np.arange(lengths.max()) < lengths[:, None]] = np.fromiter(chain.from_iterable(rows), dtype=np.int64)
    return torch.from_numpy(table)


def lengths(rows: Int[Tensor, "row pos"], pad: int) -> Int[Tensor, " row"]:
    """Count the tokens of each row, without padding."""
    return (rows != pad).sum(dim=1)


def trim(pairs: Pairs, pad: int) -> Pairs:
    """Remove columns that contain only padding."""
    longest = [int(lengths(side, pad).max()) for side in (pairs.source, pairs.target)]
    return Pairs(pairs.source[:, : longest[0]], pairs.target[:, : longest[1]])


def shift_targets(pairs: Pairs, pad: int) -> PairBatch:
    """Return inputs and next tokens for teacher forcing; padding is not scored."""
    expected = pairs.target[:, 1:]
    return SourceTarget(pairs.source, pairs.target[:, :-1]), expected.masked_fill(expected == pad, UNSCORED)


def length_batches(pairs: Pairs, pad: int, batch_size: int, seed: int) -> Callable[[int], PairBatch]:
    """Return a function from a step to its batch, with rows of similar lengths together.

    An epoch is a random order of the rows, sorted by length and cut into batches, which are shuffled. The remainder is
    skipped. Batches depend only on (seed, step).
    """
    if not 1 <= batch_size <= len(pairs):
        raise ConfigError(f"batch_size {batch_size} is out of range for {len(pairs)} pairs. Choose 1 to {len(pairs)}.")
    steps = len(pairs) // batch_size
    size = lengths(pairs.source, pad) * pairs.target.shape[1] + lengths(pairs.target, pad)

    @lru_cache(maxsize=2)
    def order(epoch: int) -> Int[Tensor, "step row"]:
        random = generator(seed, "epoch", epoch)
        rows = torch.randperm(len(pairs), generator=random)[: steps * batch_size]
        rows = rows[size[rows].argsort(stable=True)].reshape(steps, batch_size)
        return rows[torch.randperm(steps, generator=random)]

    def batch(step: int) -> PairBatch:
        epoch, place = divmod(step, steps)
        return shift_targets(trim(pairs[order(epoch)[place]], pad), pad)

    return batch
