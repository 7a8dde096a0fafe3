"""Addition modulo a prime, `a b =` to a + b, whose circuit uses Fourier features (Nanda et al. 2023)."""

from __future__ import annotations

import torch

from workbench.core.random import generator
from workbench.core.registry import DATASETS
from workbench.data.tasks.sequences import Rows, SequenceData, score_last_token
from workbench.data.text.tokenizers import WordTokenizer

PRIME = 59
TRAIN_SHARE = 0.5


@DATASETS.register("modular_addition")
def modular_addition() -> SequenceData:
    """All pairs of numbers below 59: a random half for training, the others for testing."""
    numbers = torch.arange(PRIME)
    first, second = (x.flatten() for x in torch.meshgrid(numbers, numbers, indexing="ij"))
    rows = torch.stack([first, second, torch.full_like(first, PRIME), (first + second) % PRIME], dim=1)
    rows = rows[torch.randperm(len(rows), generator=generator(0, "modular addition"))]
    train, test = rows.split([n := int(TRAIN_SHARE * len(rows)), len(rows) - n])
    return SequenceData(
        "modular_addition",
        WordTokenizer((*map(str, range(PRIME)), "="), silent=("+",)),
        *score_last_token(train),
        *score_last_token(test),
        counterpart=change_summand,
        source=f"all {len(rows)} sums of two numbers modulo {PRIME}",
    )


def change_summand(rows: Rows, random: torch.Generator) -> Rows:
    """Replace the first number by another one."""
    other = rows.clone()
    other[:, 0] = (rows[:, 0] + torch.randint(1, PRIME, (len(rows),), generator=random)) % PRIME
    return other
