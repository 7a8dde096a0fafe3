"""Checks of command-line flags against the ranges in a command's signature, and the flag `--allow`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar, get_type_hints

from cyclopts import Parameter, Token, convert

from workbench.core.ranges import check_value, is_carried, limits

Command = TypeVar("Command", bound=Callable[..., Any])
Allow = Annotated[
    list[str] | None,
    Parameter(
        consume_multiple=True,
        negative="",
        help="Raise limits of one request: rows=100000 units=20000 steps=50000 bytes=4000000000, or all.",
    ),
]


def with_limits(command: Command) -> Command:
    """Add `--allow` to the flags of a command; `call` applies the limits while it runs."""
    plain = inspect.signature(command, eval_str=True)
    added = inspect.Parameter("allow", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Allow)
    command.__signature__ = plain.replace(parameters=[*plain.parameters.values(), added])  # type: ignore[attr-defined]
    return command


def call(command: Callable[..., Any], bound: inspect.BoundArguments) -> Any:
    """Check the flags of a command and run it, within the limits of `--allow` if it has that flag."""
    from workbench.experiments.questions import budget

    check_flags(command, bound)
    flags = dict(bound.kwargs)
    words = flags.pop("allow", None) if hasattr(command, "__signature__") else None
    with budget.allow(budget.read_budget(words or ())):
        return command(*bound.args, **flags)


def read_flag(kind: Any, tokens: Sequence[Token]) -> Any:
    """Convert the tokens of a flag; text that is not a number is left for `check_flags` to refuse."""
    if kind not in (int, float):
        return convert(kind, tokens)
    from workbench.experiments.questions.spelling import from_text

    return from_text(kind, tokens[0].value)


def check_flags(command: Callable[..., Any], bound: inspect.BoundArguments) -> None:
    """Raise unless each number and choice is in the range of the command's annotation.

    Raises:
        ConfigError: Names the flag, its range and the value.
    """
    takes = bound.signature.parameters
    for name, annotation in get_type_hints(command, include_extras=True).items():
        described = any(isinstance(part, Parameter) for part in limits(annotation))
        several = name in takes and takes[name].kind is inspect.Parameter.VAR_POSITIONAL
        if name in bound.arguments and is_carried(annotation) and not described and not several:
            check_value(annotation, bound.arguments[name], f"--{name.replace('_', '-')}")
