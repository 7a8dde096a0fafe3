"""Tests of dates against the parser of the standard library."""

from __future__ import annotations

from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.core.registry import DATASETS
from workbench.data.pairs.dates import FORMS, format_date

READ = ("%d %B %Y", "%B %d, %Y", "%d %b %Y", "%A, %d %B %Y", "%d.%m.%Y")


@given(day=st.dates(date(1900, 1, 1), date(2099, 12, 31)))
def test_what_is_written_is_read_back_as_the_same_day(day: date) -> None:
    for form, read in zip(FORMS, READ, strict=True):
        assert datetime.strptime(format_date(day, form), read).date() == day


@pytest.mark.slow
def test_no_day_is_trained_on_and_tested_and_every_answer_is_right() -> None:
    data = DATASETS["dates"]()
    decode = data.tokenizer.decode
    days = [set(map(tuple, part.target.tolist())) for part in (data.train, data.validation, data.test)]
    assert not days[0] & days[1] and not days[0] & days[2] and not days[1] & days[2]
    assert len(days[2]) == 5000 and sum(map(len, days)) == 73_049
    for source, target in zip(data.test.source[:200], data.test.target[:200], strict=True):
        assert decode(target) in {read_as(decode(source), form) for form in READ}


def read_as(text: str, form: str) -> str:
    try:
        return datetime.strptime(text, form).date().isoformat()
    except ValueError:
        return ""
