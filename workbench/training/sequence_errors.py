"""Error rates of generated sequences, by edit distance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from workbench.training.scores import normal_interval, share_score

Sequences = Sequence[Sequence[int]]


def edit_distance(one: Sequence[int], other: Sequence[int]) -> int:
    """Count the fewest insertions, deletions and substitutions between two sequences (Levenshtein 1966)."""
    previous = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        current = [i]
        for j, b in enumerate(other, 1):
            current.append(min(previous[j] + 1, current[j - 1] + 1, previous[j - 1] + (a != b)))
        previous = current
    return previous[-1]


def nearest(answer: Sequence[int], references: Sequences) -> tuple[int, int]:
    """Return the smallest number of edits to one of several references, and that reference's length."""
    return min((edit_distance(answer, reference), len(reference)) for reference in references)


def error_rates(
    answers: Sequences, references: Sequence[Sequences], token: str, sequence: str
) -> dict[str, dict[str, Any]]:
    """Measure `<token>_error` and `<sequence>_error`, with 95 % intervals over sequences.

    The first is the number of edits over the number of tokens in the references, the second the share of answers that
    need an edit. Of several references the nearest counts. The interval of the first is that of a ratio.
    """
    pairs = [nearest(answer, right) for answer, right in zip(answers, references, strict=True)]
    edits, length = (torch.tensor(column, dtype=torch.float64) for column in zip(*pairs, strict=True))
    rate = float(edits.sum() / length.sum())
    # A ratio of means varies as the mean of what its numerator exceeds it by (Cochran 1977, section 2.11).
    spread = normal_interval((edits - rate * length) / length.mean() + rate, mean=rate)
    return {
        f"{token}_error": {"value": rate, "n": len(pairs), "interval": spread},
        f"{sequence}_error": share_score(edits > 0),
    }
