"""Tests of number formats."""

from __future__ import annotations

import pytest

from app.text import format
from workbench.checkpoints.card import Score


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (1.0, "1"), (0.12345, "0.123"), (-12.345, "-12.3"), (1234.5, "1,234"), (0.00012, "1.20e-04")],
)
def test_three_significant_digits(value: float, text: str) -> None:
    assert format.short(value) == text


def test_what_is_no_number_is_said_in_words() -> None:
    assert format.short(float("nan")) == "not a number"


@pytest.mark.parametrize(("count", "text"), [(812, "812"), (4810, "4.81k"), (10_700_000, "10.7M")])
def test_counts_are_thousands_and_millions(count: int, text: str) -> None:
    assert format.amount(count) == text


def test_a_metric_is_told_in_its_unit_with_interval_and_samples() -> None:
    assert format.write_score("test_accuracy", 0.9694) == "96.94 %"
    assert format.write_score("validation_loss", 1.5321) == "1.53 nats"
    assert format.detail("test_accuracy", Score(0.97, 359, (0.95, 0.98))) == "95 %: 95 % to 98 %, n = 359"


@pytest.mark.parametrize(
    ("number", "noun", "text"), [(1, "row", "1 row"), (0, "row", "0 rows"), (2048, "process", "2,048 processes")]
)
def test_a_count_has_the_plural_of_its_noun(number: int, noun: str, text: str) -> None:
    assert format.count(number, noun) == text
