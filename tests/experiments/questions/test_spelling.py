"""Tests of settings and parameters as text: round trips, and errors for other spellings."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from annotated_types import Ge
from hypothesis import given
from hypothesis import strategies as st

from workbench.core.errors import ConfigError, InputError
from workbench.core.ranges import PositiveInt, check_value
from workbench.experiments.questions.parameters import as_json
from workbench.experiments.questions.spelling import from_text, in_text

WHOLE = st.integers(-(2**63), 2**63 - 1)
REAL = st.floats(allow_nan=False, allow_infinity=False)
ODD = st.sampled_from(["none", "", "1", "true", '"a"', "[1]", "-1,-2"])
TEXT = st.text(max_size=6) | st.text("a,\"'[]() \n:-=1", max_size=6) | ODD
VALUES: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (int, WHOLE),
    (float, REAL),
    (bool, st.booleans()),
    (str, TEXT),
    (int | None, st.none() | WHOLE),
    (str | None, st.none() | TEXT),
    (int | str | None, st.none() | WHOLE | TEXT),
    (bool | None, st.none() | st.booleans()),
    (Literal["zero", "none"] | None, st.sampled_from([None, "zero"])),
    (tuple[int, ...], st.lists(WHOLE).map(tuple)),
    (tuple[PositiveInt, ...] | None, st.none() | st.lists(st.integers(1, 99)).map(tuple)),
    (tuple[str, ...], st.lists(TEXT, max_size=3).map(tuple)),
    (tuple[str, ...] | None, st.none() | st.lists(TEXT, max_size=3).map(tuple)),
    (tuple[float, int], st.tuples(REAL, WHOLE)),
]


@given(st.data())
@pytest.mark.parametrize(("kind", "values"), VALUES, ids=[str(kind) for kind, _ in VALUES])
def test_a_value_written_as_text_reads_back_as_itself(kind: Any, values: st.SearchStrategy[Any], data: Any) -> None:
    value = data.draw(values)
    for written in (in_text(kind, value), in_text(kind, as_json(value))):
        found = check_value(kind, from_text(kind, written), "x")
        assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (int, "1_000"), (int, "+3"), (int, "٣"), (int, "1.0"), (int, "0x1f"), (int, "9" * 5000), (int, str(2**63)),
        (float, "1_0.5"), (float, "infinity"), (float, "nan"), (float, "1e999"), (float, "٣.٥"), (float, "1e5000"),
        (float, "9" * 5000), (tuple[int, ...], "1,,2"), (tuple[int, ...], "6:3"), (tuple[int, ...], "((1"),
        (tuple[int, ...], "1:2:3"), (tuple[int, ...], '["a"]'), (tuple[int, ...], "[" * 5000),
    ],
)  # fmt: skip
def test_other_spellings_are_refused(kind: Any, text: str) -> None:
    with pytest.raises(ConfigError, match="'x' should be|of 'x' should be"):
        check_value(kind, from_text(kind, text), "'x'")


def test_a_span_is_no_way_to_ask_for_all_memory() -> None:
    with pytest.raises(InputError, match="units are too many"):
        from_text(tuple[int, ...], "0:99999999999")


def test_the_spellings_of_before_are_read_as_before() -> None:
    assert from_text(tuple[int, ...], "(1,2,5:8)") == [1, 2, 5, 6, 7] and from_text(tuple[int, ...], "3,") == [3]
    assert from_text(tuple[str, ...], "head, pos") == ["head", "pos"] and Ge(1)
