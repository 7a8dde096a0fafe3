"""Tests of argument checks of public functions and analyses, before any computation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest
import torch
from jaxtyping import Float
from torch import Tensor, nn

from tests.zoo.small import example, small
from workbench.core import interventions
from workbench.core.arguments import check_arguments
from workbench.core.errors import ConfigError, InputError, ShapeError
from workbench.core.ranges import PositiveInt, is_ranged, without_range
from workbench.core.registry import ANALYSES
from workbench.experiments.questions.parameters import signature_of


@check_arguments
def made(
    x: Tensor,
    rows: PositiveInt = 1,
    name: str | None = None,
    part: nn.Module | Tensor | None = None,
    measure: Callable[[Any], Any] = len,
    several: Sequence[int] = (),
    like: Float[Tensor, " batch"] | None = None,
    factor: float = 1.0,
    *more: int,
) -> tuple[Any, ...]:
    """Give back what was given."""
    return x, rows, name, part, measure, several, like, factor, more


def test_right_arguments_pass_through() -> None:
    x = torch.zeros(2)
    given = (x, 2, "a", nn.ReLU(), print, [1], x, float("inf"), 7)
    assert made(*given)[1:3] == (2, "a") and made(*given)[-2:] == (float("inf"), (7,)) and made(x)[0] is x


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"x": 3}, "'x' of made should be a Tensor, not 3"),
        ({"rows": 0}, "'rows' of made should be a whole number of 1 or more, not 0"),
        ({"rows": 1.5}, "not 1.5"),
        ({"name": 3}, "'name' of made should be text or none, not 3"),
        ({"part": "a"}, "'part' of made should be a Module or a Tensor or none, not 'a'"),
        ({"measure": 3}, "'measure' of made should be a function, not 3"),
        ({"several": 3}, "'several' of made should be a Sequence, not 3"),
        ({"like": "x"}, "'like' of made should be a Tensor or none, not 'x'"),
        ({"factor": "x"}, "'factor' of made should be a number, not 'x'"),
    ],
)
def test_a_wrong_argument_is_one_sentence(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises((ConfigError, InputError), match=words):
        made(**{"x": torch.zeros(2), **arguments})


@pytest.mark.parametrize("make", ["zero", "mean", "resample", "patch", "steer", "scale", "clamp"])
def test_every_edit_refuses_what_is_no_site_and_no_tensor(make: str) -> None:
    function = getattr(interventions, make)
    for wrong in (3, None, "a b", 1.5, object()):
        with pytest.raises((ConfigError, InputError)):
            function(wrong, *[object()] * (make not in ("zero", "clamp")), *[object()] * (make == "resample"))


def number_parameters() -> list[tuple[str, str]]:
    return [
        (analysis, name)
        for analysis in ANALYSES
        for name, parameter in signature_of(analysis).parameters.items()
        if {int, float} & set(map(without_range, getattr(parameter.annotation, "__args__", (parameter.annotation,))))
        or without_range(parameter.annotation) in (int, float)
    ]


@pytest.mark.parametrize(("analysis", "name"), number_parameters())
def test_every_number_of_an_analysis_declares_its_range(analysis: str, name: str) -> None:
    parameter = signature_of(analysis).parameters[name]
    assert is_ranged(parameter.annotation) or (analysis, name) == ("vector_field", "amount")  # any number steers
    signature = signature_of(analysis)
    values = {other: "h" if p.required else p.default for other, p in signature.parameters.items()}
    for wrong in (-1, float("nan"), float("inf"), 10**400) if is_ranged(parameter.annotation) else (float("nan"),):
        with pytest.raises(ConfigError, match=f"'{name}' of {analysis} should be"):
            signature.complete({**values, name: wrong})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_inputs_that_are_not_finite_are_refused_with_their_place(value: float) -> None:
    model = small("mlp")
    inputs = example(model, 3)
    inputs[1, 2] = value
    with pytest.raises(InputError, match=rf"'inputs' holds {value} at index \[1, 2\]"):
        ANALYSES["ablation"](model, inputs, "blocks.0.hook_post", lambda y: y[:, 0])


@pytest.mark.parametrize("inputs", [3, "three", None, torch.zeros(2, 2), torch.zeros(3, dtype=torch.long)])
def test_inputs_that_a_model_cannot_take_are_explained(inputs: Any) -> None:
    model = small("mlp")
    with pytest.raises((InputError, ShapeError), match="takes float32 ..batch|inputs contain no tensor|says axes"):
        ANALYSES["ablation"](model, inputs, "blocks.0.hook_post", lambda y: y[:, 0])


def test_a_technique_called_with_a_model_that_lacks_its_axes_is_refused() -> None:
    with pytest.raises(ConfigError, match="'head_patterns' works on networks with an axis 'head'"):
        ANALYSES["head_patterns"](small("mlp"), example(small("mlp")))
    with pytest.raises(InputError, match="needs a model"):
        ANALYSES["anatomy"]("digits_mlp")


def test_an_analysis_that_names_no_dataclass_as_its_result_is_refused_when_it_is_registered() -> None:
    def nothing(model, inputs): ...  # type: ignore[no-untyped-def]
    def number(model: Any, inputs: Any) -> float: ...  # type: ignore[empty-body]

    before = ANALYSES.names()
    for function, said in ((nothing, "not nothing"), (number, "not float"), (partial(number), "must be a function")):
        with pytest.raises(ConfigError, match=f"The analysis 'mine' must be .*{said}|{said}"):
            ANALYSES.register("mine")(function)
    assert ANALYSES.names() == before
