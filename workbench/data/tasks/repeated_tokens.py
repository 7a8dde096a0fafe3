"""Repeated random tokens, the task of induction heads (Olsson et al. 2022)."""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor

from workbench.core.random import generator
from workbench.core.registry import DATASETS
from workbench.data.tasks.sequences import UNSCORED, Rows, SequenceData
from workbench.data.text.tokenizers import WordTokenizer

WORDS = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
BEGIN = "^"
LENGTH, SHORTEST, LONGEST = 48, 8, 24
N_TRAIN, N_TEST = 20_000, 1_000


@DATASETS.register("repeated_tokens")
def repeated_tokens() -> SequenceData:
    """`^`, then a run of 8 to 24 different random tokens, repeated to the end; scored from the second repetition on.

    The length of the run differs between rows, so the answer is at no fixed distance.
    """
    train, test = (make_rows(n, split) for n, split in ((N_TRAIN, "train"), (N_TEST, "test")))
    return SequenceData(
        "repeated_tokens",
        WordTokenizer((*WORDS, BEGIN)),
        *train,
        *test,
        counterpart=exchange_tokens,
        source=f"runs of {SHORTEST} to {LONGEST} of {len(WORDS)} tokens, repeated up to position {LENGTH}",
    )


def make_rows(n: int, split: str) -> tuple[Int[Tensor, "row pos"], Int[Tensor, "row pos"]]:
    """Generate inputs and targets."""
    random = generator(0, "repeated tokens", split)
    runs = torch.rand(n, len(WORDS), generator=random).argsort(dim=1)
    periods = torch.randint(SHORTEST, LONGEST + 1, (n, 1), generator=random)
    places = torch.arange(LENGTH)
    tokens = runs.gather(1, places % periods)
    inputs = torch.cat([torch.full((n, 1), len(WORDS)), tokens[:, :-1]], dim=1)
    return inputs, torch.where(places > periods, tokens, UNSCORED)


def exchange_tokens(rows: Rows, random: torch.Generator) -> Rows:
    """Exchange the last token and a random other one at all earlier positions.

    The last token itself stays, so its successor and predecessor are now those of the other token.
    """
    other = rows.clone()
    for row, old in zip(other, rows, strict=True):
        last = old[-1]
        choices = old[(old != last) & (old != len(WORDS))].unique()
        if not len(choices):
            continue
        chosen = choices[torch.randint(len(choices), (1,), generator=random)]
        row[:-1][old[:-1] == last] = chosen
        row[:-1][old[:-1] == chosen] = last
    return other
