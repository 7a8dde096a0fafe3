"""A question has one key and one answer, whichever way it is asked."""

from __future__ import annotations

import sys

import pytest

from tests.bench.three_ways import QUESTIONS, agreements


@pytest.mark.slow
def test_object_command_line_and_dashboard_give_the_same_key_and_the_same_bits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    chosen = (QUESTIONS[2], QUESTIONS[5])
    assert [agree for _, agree in agreements(chosen)] == [True, True]
