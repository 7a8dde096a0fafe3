"""Strict values of flags: whole numbers as digits, within the range that a command's signature declares."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, get_type_hints

from cyclopts import Parameter, Token, convert

from workbench.core.ranges import checked, is_carried, limits


def read_flag(kind: Any, tokens: Sequence[Token]) -> Any:
    """Convert the tokens of a flag; a number that is none stays text, for `check_flags` to refuse."""
    if kind not in (int, float):
        return convert(kind, tokens)
    from workbench.experiments.questions.spelling import from_text

    return from_text(kind, tokens[0].value)


def check_flags(command: Callable[..., Any], bound: inspect.BoundArguments) -> None:
    """Raise unless each number and choice that was given is in the range which the command's annotation declares.

    Raises:
        ConfigError: Names the flag, its range and the value.
    """
    takes = bound.signature.parameters
    for name, annotation in get_type_hints(command, include_extras=True).items():
        described = any(isinstance(part, Parameter) for part in limits(annotation))
        several = name in takes and takes[name].kind is inspect.Parameter.VAR_POSITIONAL
        if name in bound.arguments and is_carried(annotation) and not described and not several:
            checked(annotation, bound.arguments[name], f"--{name.replace('_', '-')}")
