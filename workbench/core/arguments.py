"""Checks of the arguments of public functions against their annotations."""

from __future__ import annotations

import collections.abc
import inspect
from collections.abc import Callable
from dataclasses import is_dataclass
from functools import cache, wraps
from typing import Annotated, Any, TypeVar, cast, get_args, get_origin, get_type_hints

from workbench.core.errors import ConfigError, InputError, short
from workbench.core.ranges import check_value, describe_with_article, fits, is_carried, members

F = TypeVar("F", bound=Callable[..., Any])


def check_arguments(function: F) -> F:
    """Decorate a function so that each argument is checked at every call.

    Numbers, texts and tuples of these must be of the annotated type and in its range. An argument annotated with a
    class, such as a tensor or a module, must be an instance of it. Arguments with other annotations are not checked.

    Raises:
        ConfigError: At a call, for a number or text that is of another type or out of range.
        InputError: At a call, for an object of another class.
    """
    takes = inspect.signature(inspect.unwrap(function))

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        bound = takes.bind(*args, **kwargs)
        for name, hint in hints_to_check(call).items():
            if name in bound.arguments:
                where = f"{name!r} of {function.__name__}"
                bound.arguments[name] = check_argument(hint, bound.arguments[name], where)
        return function(*bound.args, **bound.kwargs)

    return cast(F, call)


@cache
def hints_to_check(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the annotations of a function's arguments, without those of `*args` and `**kwargs`."""
    plain = inspect.unwrap(function)
    several = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    named = {name for name, p in inspect.signature(plain).parameters.items() if p.kind not in several}
    hints = get_type_hints(plain, include_extras=True)
    return {name: hint for name, hint in hints.items() if name in named and hint is not Any}


def check_argument(hint: Any, value: Any, where: str) -> Any:
    """Check an argument against its annotation and convert it."""
    if is_carried(hint) and not (float in members(hint) and isinstance(value, float)):  # inf may be meant
        return check_value(hint, value, where)
    if not is_a(hint, value):
        raise InputError(f"{where} should be {describe_kind(hint)}, not {short(value)}.")
    return value


def is_a(hint: Any, value: Any) -> bool:
    """Return whether a value matches an annotation. Annotations that are not classes match every value."""
    if get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    if is_carried(hint):
        return fits(hint, value) or (float in members(hint) and isinstance(value, float))
    if len(several := members(hint)) > 1:
        return any(is_a(member, value) for member in several)
    kind = getattr(hint, "array_type", None) or get_origin(hint) or hint  # jaxtyping's own is a subclass of nothing
    if kind is collections.abc.Callable:
        return callable(value)
    try:
        return not isinstance(kind, type) or isinstance(value, kind)
    except TypeError:  # a protocol that is not checked at runtime
        return True


def describe_kind(hint: Any) -> str:
    """Describe an annotation for an error."""
    if is_carried(hint):
        return describe_with_article(hint)
    if len(several := members(hint)) > 1:
        return " or ".join(map(describe_kind, several))
    kind = getattr(hint, "array_type", None) or get_origin(hint) or hint
    return "a function" if kind is collections.abc.Callable else f"a {getattr(kind, '__name__', kind)}"


def require_result_class(name: str, function: Callable[..., Any]) -> None:
    """Raise a `ConfigError` unless an analysis is annotated to return a dataclass, since only these can be stored."""
    try:
        kind = get_type_hints(inspect.unwrap(function)).get("return")
    except NameError:  # an annotation names a class that its module defines later
        return
    except TypeError as error:
        raise ConfigError(f"The analysis {name!r} must be a function, not {short(function)}.") from error
    if not (isinstance(kind, type) and is_dataclass(kind)):
        found = "nothing" if kind is None else getattr(kind, "__name__", str(kind))
        raise ConfigError(
            f"The analysis {name!r} must be annotated to return a dataclass, not {found}. Write its result as one, "
            f"such as `def {name}(model, inputs) -> Ablation`."
        )


def prepare_analysis(name: str, function: F) -> F:
    """Decorate an analysis so that its arguments, its model and its inputs are checked at every call.

    Raises:
        ConfigError: At a call, when the technique does not fit the model or a parameter is out of its range.
        InputError: At a call, when inputs hold a value that is not finite, or the model cannot take them.
    """
    require_result_class(name, function)
    takes, checks = inspect.signature(inspect.unwrap(function)), check_arguments(function)

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        from workbench.core.fitting import require_fit
        from workbench.core.inputs import check_inputs, explain_input_errors

        given = takes.bind(*args, **kwargs).arguments
        require_fit(name, function, given.get("model"))
        for argument in ("inputs", "corrupted"):
            check_inputs(given.get(argument), argument)
        with explain_input_errors(given["model"], given.get("inputs")):
            return checks(*args, **kwargs)

    return cast(F, call)
