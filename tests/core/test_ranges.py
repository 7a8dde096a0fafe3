"""Tests of declared ranges: accepted values, and errors for those outside."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import numpy as np
import pytest
from annotated_types import Ge, Gt, Interval, Le, Lt, MinLen, MultipleOf
from hypothesis import given
from hypothesis import strategies as st

from workbench.core.arguments import check_arguments
from workbench.core.errors import ConfigError, UnknownNameError
from workbench.core.ranges import PositiveFloat, PositiveInt, Seed, Share, check_fields, check_value, describe_type


@dataclass(frozen=True)
class BlockConfig:
    width: PositiveInt = 64
    rank: Annotated[int, Ge(1), Le(64)] = 8
    clip: PositiveFloat | None = None
    hidden: Annotated[tuple[PositiveInt, ...], MinLen(1)] = (3,)
    act: Literal["relu", "tanh"] = "relu"
    name: str = ""
    tied: bool = False
    made: Callable[[], Any] = field(default=dict)

    def __post_init__(self) -> None:
        check_fields(self)


REFUSED = [
    ("width", 0, "'width' of BlockConfig should be a whole number of 1 or more, not 0."),
    ("width", 2.0, "'width' of BlockConfig should be a whole number of 1 or more, not 2.0."),
    ("width", True, "'width' of BlockConfig should be a whole number of 1 or more, not True."),
    ("width", 2**63, f"'width' of BlockConfig should be a whole number of 1 or more, not {2**63}."),
    ("rank", 65, "'rank' of BlockConfig should be a whole number from 1 to 64, not 65."),
    ("clip", -1, "'clip' of BlockConfig should be a number above 0 or none, not -1."),
    ("clip", 0.0, "'clip' of BlockConfig should be a number above 0 or none, not 0.0."),
    ("clip", math.nan, "'clip' of BlockConfig should be a number above 0 or none, not nan."),
    ("clip", math.inf, "'clip' of BlockConfig should be a number above 0 or none, not inf."),
    ("hidden", (4, -1), "entry 1 of 'hidden' of BlockConfig should be a whole number of 1 or more, not -1."),
    ("name", 3, "'name' of BlockConfig should be text, not 3."),
    ("tied", 1, "'tied' of BlockConfig should be true or false, not 1."),
]


@pytest.mark.parametrize(("name", "value", "message"), REFUSED)
def test_a_field_out_of_range_is_refused_in_one_sentence(name: str, value: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        BlockConfig(**{name: value})
    assert str(caught.value) == message


def test_an_empty_tuple_is_refused_where_one_entry_is_needed() -> None:
    with pytest.raises(ConfigError, match=r"'hidden' of BlockConfig should be .*\(at least 1\), not \(\)"):
        BlockConfig(hidden=())


def test_a_misspelt_choice_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'relu'"):
        BlockConfig(act="rleu")  # type: ignore[arg-type]


def test_a_number_of_thousands_of_digits_is_refused_without_writing_it() -> None:
    with pytest.raises(ConfigError, match="not a number of 16,610 bits"):
        BlockConfig(width=10**5000)
    with pytest.raises(ConfigError, match="not a number of 16,610 bits"):
        BlockConfig(clip=10**5000)


def test_valid_values_are_kept_and_lists_and_numpy_numbers_become_plain() -> None:
    made = BlockConfig(width=np.int64(3), clip=1, hidden=[2, 5], tied=True)  # type: ignore[arg-type]
    assert made == BlockConfig(3, 8, 1.0, (2, 5), "relu", "", True)
    assert [type(v) for v in (made.width, made.clip, made.hidden)] == [int, float, tuple]


@pytest.mark.parametrize(
    ("limits", "words", "inside", "outside"),
    [
        ((Ge(0),), "number of 0 or more", [0, 7], [-1e-9]),
        ((Gt(0),), "number above 0", [1e-9], [0]),
        ((Le(2),), "number of 2 or less", [2, -5], [2.1]),
        ((Lt(2),), "number below 2", [1.9], [2]),
        ((Ge(0), Le(1)), "number from 0 to 1", [0, 1], [-0.1, 1.1]),
        ((Ge(0), Lt(1)), "number from 0 to below 1", [0, 0.99], [1]),
        ((Gt(0), Le(1)), "number above 0 and at most 1", [1], [0, 1.1]),
        ((Gt(0), Lt(1)), "number above 0 and below 1", [0.5], [0, 1]),
        ((Ge(4), MultipleOf(4)), "number of 4 or more that is a multiple of 4", [8], [0, 6]),
    ],
)  # fmt: skip
def test_each_kind_of_limit_is_kept_and_worded(
    limits: tuple[Any, ...], words: str, inside: list[float], outside: list[float]
) -> None:
    kind = Annotated[(float, *limits)]
    assert describe_type(kind) == words
    for value in inside:
        assert check_value(kind, value, "x") == value
    for value in outside:
        with pytest.raises(ConfigError):
            check_value(kind, value, "x")


def test_limits_that_are_no_range_are_refused() -> None:
    with pytest.raises(ConfigError, match="Use Ge or Gt"):
        describe_type(Annotated[float, Interval(gt=0)])


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_a_share_is_taken_exactly_when_it_lies_in_0_to_1(value: float) -> None:
    if 0 <= value <= 1:
        assert check_value(Share, value, "x") == value
    else:
        with pytest.raises(ConfigError, match="'x' should be a number from 0 to 1"):
            check_value(Share, value, "'x'")


@check_arguments
def scaled(x: float, factor: PositiveFloat = 1.0, *, plain: Any = None) -> float:
    """Multiply."""
    return x * factor


def test_a_function_checks_the_arguments_that_declare_a_range() -> None:
    assert scaled(-2.0, 3) == -6 and scaled.__name__ == "scaled"
    assert math.isnan(scaled(math.nan))
    for refused in (lambda: scaled(1, -3), lambda: scaled(1, factor=math.nan)):
        with pytest.raises(ConfigError, match="'factor' of scaled should be a number above 0"):
            refused()


def test_seeds_are_those_that_numpy_takes() -> None:
    for seed in (0, 2**32 - 1):
        np.random.RandomState(seed)
        check_value(Seed, seed, "seed")
    for seed in (-1, 2**32):
        with pytest.raises(ValueError, match="Seed"):
            np.random.RandomState(seed)
        with pytest.raises(ConfigError, match="seed"):
            check_value(Seed, seed, "seed")


def test_a_list_of_any_length_is_described_by_two_of_its_members() -> None:
    assert describe_type(tuple[PositiveInt, ...]) == "whole number of 1 or more,whole number of 1 or more,..."
    assert describe_type(tuple[int, str]) == "whole number,text"
