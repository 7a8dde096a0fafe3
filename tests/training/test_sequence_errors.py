"""Edit distance against its axioms and its own recursion, error rates against counts by hand."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.training.sequence_errors import edit_distance, error_rates

short = st.lists(st.integers(0, 2), max_size=6)


def by_recursion(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    @cache
    def distance(i: int, j: int) -> int:
        if not i or not j:
            return i + j
        exchanged = distance(i - 1, j - 1) + (one[i - 1] != other[j - 1])
        return min(distance(i - 1, j) + 1, distance(i, j - 1) + 1, exchanged)

    return distance(len(one), len(other))


@given(one=short, other=short, third=short)
def test_edit_distance_is_a_distance_and_what_its_definition_says(
    one: list[int], other: list[int], third: list[int]
) -> None:
    d = edit_distance(one, other)
    assert d == by_recursion(tuple(one), tuple(other)) == edit_distance(other, one)
    assert (d == 0) == (one == other)
    assert d <= edit_distance(one, third) + edit_distance(third, other)


def test_rates_count_edits_over_tokens_and_wrong_answers_over_all() -> None:
    answers = [[1, 2, 3], [1, 2], [7], [4, 4]]
    references = [[[1, 2, 3]], [[1, 2, 3]], [[5, 6], [7]], [[4, 5]]]
    rates = error_rates(answers, references, "phoneme", "word")
    assert rates["phoneme_error"]["value"] == pytest.approx(2 / 9)
    assert rates["word_error"]["value"] == 0.5 and rates["word_error"]["n"] == 4
    low, high = rates["phoneme_error"]["interval"]
    assert low < 2 / 9 < high


def test_perfect_answers_have_no_error() -> None:
    rates = error_rates([[1], [2, 3]], [[[1]], [[2, 3]]], "token", "row")
    assert rates["token_error"]["value"] == rates["row_error"]["value"] == 0.0
    assert rates["token_error"]["interval"] == (0.0, 0.0)
