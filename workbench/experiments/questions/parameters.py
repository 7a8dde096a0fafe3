"""Parameters of an analysis, derived from its signature, for flags, forms and stored specifications."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from numbers import Integral, Real
from typing import Any, Literal, get_args, get_origin, get_type_hints

from workbench.core.errors import ConfigError, InputError, UnknownNameError, short
from workbench.core.ranges import check_value, describe_type, is_carried, members
from workbench.core.registry import ANALYSES
from workbench.experiments.questions.budget import require
from workbench.experiments.questions.docstrings import parameter_help, sentence_about
from workbench.experiments.questions.spelling import from_text

INJECTED = ("model", "inputs", "corrupted", "metric", "world", "load", "seed", "progress")
"""Arguments that the workbench supplies to an analysis; all others are parameters."""


@dataclass(frozen=True)
class Parameter:
    """A parameter of an analysis: its type, its default, and its description in the docstring."""

    name: str
    annotation: Any
    default: Any
    help: str = ""

    @property
    def required(self) -> bool:
        """True if it must be given."""
        return self.default is inspect.Parameter.empty

    @property
    def choices(self) -> tuple[str, ...]:
        """The values of a fixed list of choices, else empty."""
        return tuple(c for m in members(self.annotation) if get_origin(m) is Literal for c in map(str, get_args(m)))

    @property
    def type(self) -> str:
        """The type in words: `whole number`, `text`, `texts, separated by commas`."""
        return describe_type(self.annotation)


@dataclass(frozen=True)
class Signature:
    """The arguments of an analysis: injected ones (True if it requires them), and parameters by name.

    `settings` are arguments that are a dataclass: its fields are parameters like any other.
    """

    analysis: str
    injected: Mapping[str, bool]
    parameters: Mapping[str, Parameter]
    settings: Mapping[str, Any]

    def parse(self, given: Mapping[str, str]) -> dict[str, Any]:
        """Convert the texts of a command line or a form to JSON values."""
        return {name: from_text(self.find(name).annotation, text) for name, text in given.items()}

    def complete(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return all parameters as JSON values: those given, after a check, and the defaults of the others."""
        for name in given:
            self.find(name)
        return {name: as_json(self.value(p, given)) for name, p in self.parameters.items()}

    def arguments(self, stored: Mapping[str, Any]) -> dict[str, Any]:
        """Convert JSON values to the arguments of the analysis: lists become tuples again."""
        values = {name: self.value(p, stored) for name, p in self.parameters.items()}
        made = {
            name: kind(**{f.name: values.pop(f.name) for f in fields(kind)}) for name, kind in self.settings.items()
        }
        return values | made

    def value(self, parameter: Parameter, given: Mapping[str, Any]) -> Any:
        """Return the checked value of a parameter, or its default."""
        if parameter.name in given:
            return check_value(parameter.annotation, given[parameter.name], f"{parameter.name!r} of {self.analysis}")
        if parameter.required:
            raise InputError(f"{self.analysis} needs the parameter {parameter.name!r} ({parameter.type}). Give it.")
        return parameter.default

    def find(self, name: str) -> Parameter:
        """Return the parameter of that name."""
        if name not in self.parameters:
            raise UnknownNameError("parameter", name, self.parameters, where=f" of {self.analysis}")
        return self.parameters[name]


def signature_of(analysis: str) -> Signature:
    """Return the signature of a registered analysis."""
    return read_signature(analysis, ANALYSES[analysis])


@cache
def read_signature(analysis: str, function: Callable[..., Any]) -> Signature:
    """Derive the signature of a function that is an analysis."""
    plain = inspect.unwrap(function)
    hints, given = get_type_hints(plain), inspect.signature(plain).parameters
    own = [name for name in given if name not in INJECTED]
    settings = {name: hints[name] for name in own if is_dataclass(hints.get(name))}
    parameters: dict[str, Parameter] = {}
    for name in own:
        if name in settings:
            parameters |= parameters_of(analysis, settings[name], tuple(f.name for f in fields(settings[name])))
        else:
            parameters |= parameters_of(analysis, plain, (name,))
    injected = {name: p.default is p.empty for name, p in given.items() if name in INJECTED}
    return Signature(analysis, injected, parameters, settings)


def parameters_of(analysis: str, takes: Callable[..., Any], names: tuple[str, ...]) -> dict[str, Parameter]:
    """Turn some arguments of a function, or fields of a dataclass, into parameters."""
    hints, given = get_type_hints(takes, include_extras=True), inspect.signature(takes).parameters
    texts = parameter_help(takes)
    return {
        name: Parameter(
            name,
            require_carried(hints.get(name), name, analysis),
            given[name].default,
            texts.get(name) or sentence_about(name, takes),
        )
        for name in names
    }


def require_carried(annotation: Any, name: str, analysis: str) -> Any:
    """Return the annotation, which must be one that text and JSON can carry."""
    if not is_carried(annotation):
        raise ConfigError(
            f"The parameter {name!r} of the analysis {analysis!r} has type {annotation!r}, which no flag can carry. "
            "Use str, int, float, bool, Literal, tuple[...] and None, or one of the injected arguments: "
            f"{', '.join(INJECTED)}."
        )
    return annotation


def as_json(value: Any) -> Any:
    """Convert a value to JSON: tuples and ranges become lists, NumPy's numbers plain ones."""
    if isinstance(value, range):
        require("units", (value.stop - value.start) // value.step, short(value))
    if isinstance(value, list | tuple | range):
        return list(map(as_json, value))
    if isinstance(value, Integral) and not isinstance(value, bool):
        return int(value)
    return float(value) if isinstance(value, Real) and not isinstance(value, bool) else value
