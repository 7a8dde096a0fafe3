"""Tests of analysis parameters: types, choices, defaults and errors."""

from collections.abc import Callable
from typing import Any, Literal

import pytest

from tests.experiments.tiny_models import share
from workbench.core.errors import ConfigError, InputError, UnknownNameError
from workbench.core.ranges import check_value, describe_type
from workbench.experiments.questions.parameters import Signature, from_text, read_signature

TYPED: list[tuple[Any, str, Any]] = [
    (int, "7", 7),
    (float, "1e-3", 1e-3),
    (float, "2", 2.0),
    (bool, "yes", True),
    (bool, "off", False),
    (str, " a b", " a b"),
    (str | None, "none", None),
    (str | None, "nine", "nine"),
    (int | None, "", None),
    (int | str, "3", 3),
    (int | str, "x", "x"),
    (Literal["zero", "mean"], "mean", "mean"),
    (Literal[1, 2], "2", 2),
    (tuple[int, ...], "0,2,5:8", (0, 2, 5, 6, 7)),
    (tuple[int, ...] | None, "none", None),
    (tuple[str, ...], "head, pos", ("head", "pos")),
    (tuple[str, ...], "", ()),
    (tuple[int, float], "(1, 2.5)", (1, 2.5)),
]


@pytest.fixture
def signature() -> Signature:
    return read_signature("share", share)


@pytest.mark.parametrize(("kind", "text", "value"), TYPED)
def test_text_is_read_as_the_type_says(kind: Any, text: str, value: object) -> None:
    found = check_value(kind, from_text(kind, text), "x")
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("kind", "text"),
    [(int, "1.5"), (int, ""), (float, "nan"), (bool, "maybe"), (tuple[int, ...], "1,x"), (tuple[int, int], "1")],
)
def test_text_of_another_type_is_refused_with_both(kind: Any, text: str) -> None:
    with pytest.raises(ConfigError, match="should be") as caught:
        check_value(kind, from_text(kind, text), "'x' of share")
    assert "'x' of share" in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "value"), [(int, True), (int, 1.0), (str, 1), (bool, 1), (float, "1"), (tuple[int, ...], 3)]
)
def test_json_of_another_type_is_refused(kind: Any, value: object) -> None:
    with pytest.raises(ConfigError):
        check_value(kind, value, "x")


def test_a_misspelt_choice_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'mean'"):
        check_value(Literal["zero", "mean"], "maen", "'method' of ablation")
    with pytest.raises(UnknownNameError, match="Did you mean 'mean'"):
        check_value(Literal["zero", "mean"] | None, "maen", "'method' of ablation")


def test_injected_arguments_are_no_parameters(signature: Signature) -> None:
    assert list(signature.parameters) == ["factor", "names", "mode", "limit", "double"]
    assert signature.injected == {"model": True, "inputs": True, "metric": True, "seed": False, "progress": False}


def test_a_parameter_knows_its_type_choices_and_sentence(signature: Signature) -> None:
    factor, mode, limit = (signature.parameters[n] for n in ("factor", "mode", "limit"))
    assert factor.required and factor.type == "number" and factor.help == "`factor` multiplies it"
    assert mode.choices == ("plain", "broken") and not mode.required
    assert limit.type == "whole number or none"
    assert describe_type(tuple[str, ...]) == "text,text,..."


def test_defaults_are_filled_in_as_json(signature: Signature) -> None:
    completed = signature.complete({"factor": 2})
    assert completed == {"factor": 2.0, "names": ["a", "b"], "mode": "plain", "limit": None, "double": False}
    assert signature.arguments(completed)["names"] == ("a", "b")


def test_an_unknown_and_a_missing_parameter_are_errors(signature: Signature) -> None:
    with pytest.raises(UnknownNameError, match=r"of share\. Did you mean 'factor'"):
        signature.complete({"facter": 2})
    with pytest.raises(InputError, match="needs the parameter 'factor'"):
        signature.complete({})


def takes_a_function(model: object, hook: Callable[[], int]) -> None:
    """Nothing."""


def test_a_parameter_that_no_flag_can_carry_is_an_error_of_the_analysis() -> None:
    with pytest.raises(ConfigError, match="no flag can carry"):
        read_signature("takes_a_function", takes_a_function)
