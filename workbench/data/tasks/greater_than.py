"""The greater-than task: `The war lasted from the year 17 32 to the year 17` is continued by 33 to 99."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from workbench.core.random import generator
from workbench.core.registry import DATASETS
from workbench.data.tasks.sequences import Rows, SequenceData, score_last_token
from workbench.data.text.tokenizers import WordTokenizer

NOUNS = (
    "war", "plan", "contract", "campaign", "attack", "test", "study", "progress", "employment", "program", "order",
    "operation", "trip", "rule", "marriage", "trial", "project", "work", "shift", "quest", "growth", "riot", "case",
    "deal", "process", "friendship", "journey", "voyage", "strike", "reign", "siege", "drought",
)  # fmt: skip
NUMBERS = tuple(f"{n:02}" for n in range(100))
"""Two-digit tokens for centuries and years. The id of a token is its number."""
BEGIN = "^"
WORDS = ("The", "lasted", "from", "the", "year", "to")
CENTURIES, YEARS = (11, 18), (2, 98)
"""First and last century and year. Year 01 is reserved for corrupted sentences, which allow nearly every year."""
START, CORRUPTED = -5, 1
"""Position of the first year within its century, and its value in corrupted sentences."""
N_TRAIN, N_TEST = 100_000, 1_000


@DATASETS.register("greater_than")
def greater_than() -> SequenceData:
    """The task of Hanna et al. (2023): any later year of the same century is right, and all are equally frequent.

    Training scores every word, testing the last year only. One in five first years (century and year) occurs only in
    test sentences.
    """
    random = generator(0, "greater than")
    tokenizer = WordTokenizer((*NUMBERS, BEGIN, *WORDS, *NOUNS), filling=BEGIN, length=13)
    years = torch.cartesian_prod(torch.arange(CENTURIES[0], CENTURIES[1] + 1), torch.arange(YEARS[0], YEARS[1] + 1))
    years = years[torch.randperm(len(years), generator=random)]
    kept = len(years) // 5
    train = make_sentences(years[kept:], N_TRAIN, tokenizer, random)
    test = make_sentences(years[:kept], N_TEST, tokenizer, random)
    return SequenceData(
        "greater_than",
        tokenizer,
        train[:, :-1],
        train[:, 1:],
        *score_last_token(test),
        counterpart=start_in_year_one,
        source=f"{len(NOUNS)} nouns, centuries {CENTURIES[0]} to {CENTURIES[1]}, years {YEARS[0]:02} to {YEARS[1]}",
        note="Test sentences begin in years in which no training sentence does.",
        right=mark_later_years,
    )


def make_sentences(
    years: Int[Tensor, "year 2"], n: int, tokenizer: WordTokenizer, random: torch.Generator
) -> Int[Tensor, "row pos"]:
    """Generate full sentences, with the last year uniform over the later ones."""
    ids = tokenizer.ids
    century, first = years[torch.randint(len(years), (n,), generator=random)].T
    noun = ids[NOUNS[0]] + torch.randint(len(NOUNS), (n,), generator=random)
    last = first + 1 + (torch.rand(n, generator=random) * (99 - first)).long()
    word = {w: torch.full((n,), ids[w]) for w in (BEGIN, *WORDS)}
    front = [word[BEGIN], word["The"], noun, word["lasted"], word["from"], word["the"], word["year"], century, first]
    return torch.stack([*front, word["to"], word["the"], word["year"], century, last], dim=1)


def start_in_year_one(rows: Rows, random: torch.Generator) -> Rows:
    """Replace the first year by 01, so that nearly every year is right."""
    other = rows.clone()
    other[:, START] = CORRUPTED
    return other


def mark_later_years(rows: Rows) -> Bool[Tensor, "row token"]:
    """Return True at the tokens that are later years than a sentence's first."""
    tokens = torch.arange(len(NUMBERS) + 1 + len(WORDS) + len(NOUNS), device=rows.device)
    return (tokens > rows[:, START, None]) & (tokens < len(NUMBERS))
