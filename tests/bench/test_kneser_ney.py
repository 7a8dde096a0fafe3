"""Kneser-Ney against a dictionary-based second implementation, and its sum over the vocabulary."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.bench.kneser_ney import compute_discounts, fit_ngrams, ngram_metrics
from workbench.core.errors import ConfigError, DataError

VOCAB = 5


def stream(seed: int, n: int = 400) -> torch.Tensor:
    """Tokens of very unequal frequency."""
    weights = torch.tensor([8.0, 4.0, 2.0, 1.0, 0.1])
    return torch.multinomial(weights, n, replacement=True, generator=torch.Generator().manual_seed(seed))


def by_dictionary(text: list[int], context: tuple[int, ...], token: int) -> float:
    """Chen & Goodman's equations as they stand, over every n-gram of a text; `context` has order - 1 tokens."""
    order = len(context) + 1
    counts = Counter(tuple(text[i : i + order]) for i in range(len(text) - order + 1))
    tables = {order: counts}
    for n in range(order - 1, 0, -1):
        tables[n] = Counter(gram[1:] for gram in tables[n + 1])

    def p(history: tuple[int, ...], n: int) -> float:
        if n == 0:
            return 1 / VOCAB
        table, lower = tables[n], p(history[1:], n - 1)
        after = {gram[-1]: c for gram, c in table.items() if gram[:-1] == history}
        if not after:
            return lower
        ones, twos, threes, fours = (sum(c == k for c in table.values()) for k in (1, 2, 3, 4))
        if min(ones, twos, threes, fours) == 0:
            taken = {1: 0.5, 2: 0.5, 3: 0.5}
        else:
            y = ones / (ones + 2 * twos)
            taken = {1: 1 - 2 * y * twos / ones, 2: 2 - 3 * y * threes / twos, 3: 3 - 4 * y * fours / threes}
            taken = taken if min(taken.values()) > 0 else {1: 0.5, 2: 0.5, 3: 0.5}
        total, mass = sum(after.values()), sum(taken[min(c, 3)] for c in after.values())
        own = after.get(token, 0)
        return (own - (taken[min(own, 3)] if own else 0) + mass * lower) / total

    return p(context, order)


@given(seed=st.integers(0, 1000), order=st.integers(1, 4))
def test_it_is_the_textbooks_model(seed: int, order: int) -> None:
    text, other = stream(seed, 120), stream(seed + 1, 12)
    model = fit_ngrams(text, VOCAB, order)
    p = model.probabilities(other)
    for place in range(order - 1, len(other)):
        context = tuple(other[place - order + 1 : place].tolist())
        assert p[place] == pytest.approx(by_dictionary(text.tolist(), context, int(other[place])), rel=1e-9)


@given(seed=st.integers(0, 1000), order=st.integers(1, 5))
def test_the_probabilities_of_all_tokens_after_any_context_sum_to_one(seed: int, order: int) -> None:
    model = fit_ngrams(stream(seed), VOCAB, order)
    context = torch.randint(VOCAB, (order,), generator=torch.Generator().manual_seed(seed))
    last = [model.probabilities(torch.cat([context, torch.tensor([token])]))[-1] for token in range(VOCAB)]
    assert sum(last) == pytest.approx(1.0) and min(last) > 0


def test_discounts_are_those_of_the_papers_formula_and_a_half_where_it_has_none() -> None:
    counts = np.repeat([1, 2, 3, 4, 9], [40, 10, 5, 2, 1])
    y = 40 / (40 + 20)
    assert compute_discounts(counts) == pytest.approx([0, 1 - 2 * y * 10 / 40, 2 - 3 * y * 5 / 10, 3 - 4 * y * 2 / 5])
    assert compute_discounts(np.array([1, 1, 2])) == pytest.approx([0, 0.5, 0.5, 0.5])


def test_a_text_of_one_token_again_and_again_costs_nearly_nothing() -> None:
    text = torch.zeros(1000, dtype=torch.long)
    metrics = ngram_metrics(fit_ngrams(text, 2, 3), text, n_bytes=1000)
    assert metrics["bits_per_byte"]["value"] < 0.01
    assert metrics["bits_per_byte"]["value"] == pytest.approx(
        metrics["validation_loss"]["value"] / math.log(2), rel=1e-6
    )


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match="from 1 to 5"):
        fit_ngrams(stream(0), 4096, 6)
    with pytest.raises(DataError, match="no 5-grams"):
        fit_ngrams(stream(0, 5), VOCAB, 5)
