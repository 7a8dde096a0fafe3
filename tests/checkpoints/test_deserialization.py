"""Tests of dataclasses read from JSON: round trip, unknown and missing fields, wrong types."""

import json
from dataclasses import asdict, dataclass
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.checkpoints.deserialization import restore
from workbench.core.errors import ConfigError


@dataclass(frozen=True)
class Inner:
    widths: tuple[int, ...] = ()
    window: tuple[int, float] = (1, 0.5)


@dataclass(frozen=True)
class Outer:
    name: str
    rate: float
    bias: bool
    kind: Literal["relu", "gelu"]
    limit: int | None
    inner: Inner
    maybe: Inner | None
    table: dict[str, tuple[int, ...]]
    many: list[Inner]


inners = st.builds(
    Inner,
    st.lists(st.integers(), max_size=3).map(tuple),
    st.tuples(st.integers(), st.floats(allow_nan=False, width=32)),
)
outers = st.builds(
    Outer,
    name=st.text(),
    rate=st.floats(allow_nan=False),
    bias=st.booleans(),
    kind=st.sampled_from(["relu", "gelu"]),
    limit=st.none() | st.integers(),
    inner=inners,
    maybe=st.none() | inners,
    table=st.dictionaries(st.text(max_size=3), st.lists(st.integers(), max_size=3).map(tuple), max_size=3),
    many=st.lists(inners, max_size=2),
)


@given(outers)
def test_a_dataclass_comes_back_from_json_as_it_was(outer: Outer) -> None:
    assert restore(Outer, json.loads(json.dumps(asdict(outer)))) == outer


def stored() -> dict:
    return json.loads(json.dumps(asdict(Outer("a", 1.0, True, "relu", None, Inner(), None, {}, [Inner()]))))


def test_a_whole_number_stands_for_a_float_but_not_the_other_way_round() -> None:
    assert isinstance(restore(Outer, stored() | {"rate": 2}).rate, float)
    with pytest.raises(ConfigError, match=r"Outer\.limit should be"):
        restore(Outer, stored() | {"limit": 2.5})


def test_an_unknown_field_is_named_with_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match=r"Outer\.inner has no field 'widhts'. Did you mean 'widths'"):
        restore(Outer, stored() | {"inner": {"widhts": []}})


def test_a_missing_field_is_named_even_when_it_has_a_default() -> None:
    with pytest.raises(ConfigError, match=r"Outer\.many\[0\] lacks the field 'window'"):
        restore(Outer, stored() | {"many": [{"widths": []}]})


@pytest.mark.parametrize(
    ("field", "value", "where"),
    [
        ("name", 3, "name"),
        ("bias", 1, "bias"),
        ("rate", True, "rate"),
        ("rate", "1", "rate"),
        ("kind", "tanh", "kind"),
        ("inner", [1], "inner"),
        ("inner", {"widths": [1, "2"], "window": [1, 2.0]}, r"inner\.widths\[1\]"),
        ("inner", {"widths": [], "window": [1, 2.0, 3]}, r"inner\.window"),
        ("maybe", {"widths": [1, 2.5], "window": [1, 2.0]}, r"maybe\.widths\[1\]"),
        ("table", [], "table"),
        ("many", "text", "many"),
    ],
)
def test_a_value_of_the_wrong_type_is_named_with_its_place(field: str, value: object, where: str) -> None:
    with pytest.raises(ConfigError, match=rf"Outer\.{where} should be"):
        restore(Outer, stored() | {field: value})
