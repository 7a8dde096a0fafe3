"""How far a written sequence is from the right one: edit distance, and error rates over many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from workbench.training.scores import normal_interval, share_score

Sequences = Sequence[Sequence[int]]


def edit_distance(one: Sequence[int], other: Sequence[int]) -> int:
    """The fewest insertions, deletions and exchanges that make the one of the other (Levenshtein 1966)."""
    previous = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        current = [i]
        for j, b in enumerate(other, 1):
            current.append(min(previous[j] + 1, current[j - 1] + 1, previous[j - 1] + (a != b)))
        previous = current
    return previous[-1]


def nearest(answer: Sequence[int], references: Sequences) -> tuple[int, int]:
    """Edits to the nearest of several right answers, and the length of that one."""
    return min((edit_distance(answer, reference), len(reference)) for reference in references)


def error_rates(
    answers: Sequences, references: Sequence[Sequences], token: str, sequence: str
) -> dict[str, dict[str, Any]]:
    """Metrics called `<token>_error` and `<sequence>_error`, with 95 % intervals over sequences.

    The first is the number of edits over the number of tokens in the right answers, the second the share of answers
    that need an edit. Where several are right, the nearest counts. The first one's interval is that of a ratio.
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
