"""Pairs of sequences, one to be read and one to be written: tasks for encoder-decoders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from workbench.core.errors import ConfigError
from workbench.core.random import generator
from workbench.core.source_target import SourceTarget
from workbench.data.image_data import content_hash
from workbench.data.pair_tokenizer import END, PAD, PairTokenizer
from workbench.data.sequences import UNSCORED

Taught = tuple[SourceTarget, Int[Tensor, "batch target_pos"]]
"""What the network reads, the target without its last token, and at each position the token that follows."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Rows filled up with padding: sources, and targets from their start to their end.

    A source that has several right answers has several rows.
    """

    source: Int[Tensor, "row source_pos"]
    target: Int[Tensor, "row target_pos"]

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, rows: slice | Int[Tensor, " some"]) -> Pairs:
        return Pairs(self.source[rows], self.target[rows])


@dataclass(frozen=True, eq=False)
class PairData:
    """Pairs to train on, to choose settings by, and to test, with no source in two of the three."""

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


def encoded_pairs(texts: Sequence[tuple[str, str]], tokenizer: PairTokenizer) -> Pairs:
    """Pairs of texts as rows of tokens, each target with its end."""
    pad, end = tokenizer.ids[PAD], tokenizer.ids[END]
    sources = [tokenizer.source_ids(source) for source, _ in texts]
    targets = [[*tokenizer.target_ids(target), end] for _, target in texts]
    return Pairs(filled(sources, pad), filled(targets, pad))


def filled(rows: list[list[int]], pad: int) -> Int[Tensor, "row pos"]:
    """Rows of one length, padding at the end of shorter ones."""
    longest = max(map(len, rows))
    return torch.from_numpy(np.array([row + [pad] * (longest - len(row)) for row in rows]))


def lengths(rows: Int[Tensor, "row pos"], pad: int) -> Int[Tensor, " row"]:
    """Tokens in each row, padding not counted."""
    return (rows != pad).sum(dim=1)


def trimmed(pairs: Pairs, pad: int) -> Pairs:
    """The same rows without the columns in which there is nothing but padding."""
    longest = [int(lengths(side, pad).max()) for side in (pairs.source, pairs.target)]
    return Pairs(pairs.source[:, : longest[0]], pairs.target[:, : longest[1]])


def taught(pairs: Pairs, pad: int) -> Taught:
    """What is read, and at each position of the target the token that follows it; padding is not scored."""
    wanted = pairs.target[:, 1:]
    return SourceTarget(pairs.source, pairs.target[:, :-1]), wanted.masked_fill(wanted == pad, UNSCORED)


def length_batches(pairs: Pairs, pad: int, batch_size: int, seed: int) -> Callable[[int], Taught]:
    """A function from a step to its batch, rows of nearly the same lengths together: a pure function of (seed, step).

    An epoch is one random order of the rows sorted by length, its batches shuffled; the rows left over sit it out.
    """
    if not 1 <= batch_size <= len(pairs):
        raise ConfigError(f"A batch size of {batch_size} does not fit {len(pairs)} pairs: choose 1 to {len(pairs)}.")
    steps = len(pairs) // batch_size
    size = lengths(pairs.source, pad) * pairs.target.shape[1] + lengths(pairs.target, pad)

    @lru_cache(maxsize=2)
    def order(epoch: int) -> Int[Tensor, "step row"]:
        random = generator(seed, "epoch", epoch)
        rows = torch.randperm(len(pairs), generator=random)[: steps * batch_size]
        rows = rows[size[rows].argsort(stable=True)].reshape(steps, batch_size)
        return rows[torch.randperm(steps, generator=random)]

    def batch(step: int) -> Taught:
        epoch, place = divmod(step, steps)
        return taught(trimmed(pairs[order(epoch)[place]], pad), pad)

    return batch
