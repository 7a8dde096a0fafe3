"""Valid values of a setting, declared on its annotation and checked when it is set.

    @dataclass(frozen=True)
    class BlockConfig:
        width: PositiveInt = 64
        rank: Annotated[int, Ge(1), Le(64)] = 8

        def __post_init__(self) -> None:
            check_fields(self)

`BlockConfig(rank=65)` raises "'rank' of BlockConfig should be a whole number from 1 to 64, not 65." The command line,
the forms of the app and the searches read the same annotation. Parameters of an analysis are declared in its signature.
"""

from __future__ import annotations

import math
import types
from collections.abc import Callable
from dataclasses import asdict, fields
from functools import cache
from numbers import Integral, Real
from typing import Annotated, Any, Literal, NoReturn, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen, MultipleOf

from workbench.core.errors import ConfigError, UnknownNameError, short

PositiveInt = Annotated[int, Ge(1)]
NonNegativeInt = Annotated[int, Ge(0)]
PositiveFloat = Annotated[float, Gt(0)]
NonNegativeFloat = Annotated[float, Ge(0)]
Indices = Annotated[tuple[int, ...], MinLen(1)]
"""Entries of an axis, at least one; negative ones count from its end."""
Share = Annotated[float, Ge(0), Le(1)]
"""A probability, or a fraction of a whole."""
ShareBelowOne = Annotated[float, Ge(0), Lt(1)]
"""A fraction that is never the whole, such as dropout."""
Seed = Annotated[int, Ge(0), Lt(2**32)]
"""The seeds that torch, NumPy and gymnasium all take."""
Threads = Annotated[int, Ge(1), Le(256)]
"""Number of torch threads. Torch crashes with many thousands."""

NONE = types.NoneType
SCALARS = (str, int, float, bool, NONE)
WORDS = {str: "text", int: "whole number", float: "number", bool: "true or false", NONE: "none"}
WHOLE = 2**63
"""Bound of whole numbers (64 bits, as in tensors)."""


def check_fields(config: Any) -> None:
    """Check every field of a frozen dataclass in its `__post_init__`.

    Lists are converted to tuples, and integers to floats, where those are declared. Only numbers, texts and tuples of
    these are checked.

    Raises:
        ConfigError: Names the field, its valid range and the value.
        UnknownNameError: Names the nearest of the valid choices.
    """
    kind = type(config)
    for name, annotation in fields_to_check(kind).items():
        value = check_value(annotation, getattr(config, name), f"{name!r} of {kind.__name__}")
        object.__setattr__(config, name, value)


@cache
def fields_to_check(kind: type) -> dict[str, Any]:
    """Return the annotations of the fields of a dataclass that can be checked."""
    hints = get_type_hints(kind, include_extras=True)
    return {f.name: hints[f.name] for f in fields(kind) if is_carried(hints[f.name])}  # type: ignore[arg-type]


# Types


def members(annotation: Any) -> tuple[Any, ...]:
    """Return the members of a union, or the type itself."""
    return get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)


def without_range(annotation: Any) -> Any:
    """Return a type without its range."""
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def limits(annotation: Any) -> tuple[Any, ...]:
    """Return the declared limits of a type."""
    return get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()


def items(annotation: Any) -> tuple[Any, ...]:
    """Return the types of a tuple's entries; a single one if its length is free."""
    return tuple(kind for kind in get_args(without_range(annotation)) if kind is not Ellipsis)


def of_any_length(annotation: Any) -> bool:
    """Return whether a tuple type has any length."""
    return get_args(without_range(annotation))[-1:] == (Ellipsis,)


def is_carried(annotation: Any) -> bool:
    """Return whether values of a type can be written as text and JSON."""
    kind = without_range(annotation)
    if get_origin(kind) is tuple:
        return all(map(is_carried, items(kind)))
    several = members(kind)
    return kind in SCALARS or get_origin(kind) is Literal or (len(several) > 1 and all(map(is_carried, several)))


def is_ranged(annotation: Any) -> bool:
    """Return whether a type, or a type inside it, declares limits."""
    return bool(limits(annotation)) or any(map(is_ranged, get_args(annotation)))


def describe_type(annotation: Any) -> str:
    """Describe a type and its range, such as `whole number from 1 to 64`."""
    kind = without_range(annotation)
    if get_origin(kind) is Literal:
        words = "|".join(map(str, get_args(kind)))
    elif get_origin(kind) is tuple:
        inside = ",".join(map(describe_type, items(kind)))
        words = f"{inside},{inside},..." if of_any_length(kind) else inside
    else:
        words = WORDS.get(kind) or " or ".join(map(describe_type, members(kind)))
    return " ".join([words, *describe_range(limits(annotation))])


def describe_with_article(annotation: Any) -> str:
    """Describe a type as the object of a sentence: `a whole number from 1 to 64`."""
    words = describe_type(annotation)
    if get_origin(without_range(annotation)) is tuple:
        return f"a list: {words}"
    return f"a {words}" if words.startswith(("whole", "number")) else words


def describe_range(declared: tuple[Any, ...]) -> list[str]:
    """Describe limits, such as `from 0 to below 1`."""
    low = next((limit for limit in declared if isinstance(limit, Ge | Gt)), None)
    high = next((limit for limit in declared if isinstance(limit, Le | Lt)), None)
    words = [LOW_ALONE[type(low)] if high is None else LOW[type(low)], HIGH[type(low), type(high)]]
    sizes = [SIZES[type(limit)] for limit in declared if type(limit) in SIZES]
    if len(sizes) + (low is not None) + (high is not None) != len(declared):
        raise ConfigError(f"{declared} is not only a range. Use Ge or Gt, Le or Lt, MultipleOf, MinLen, MaxLen.")
    bounds = {key: value for limit in declared for key, value in asdict(limit).items()}
    return [part.format(**bounds) for part in (*words, *sizes) if part]


LOW: dict[type, str] = {Ge: "from {ge}", Gt: "above {gt}", NONE: ""}
LOW_ALONE: dict[type, str] = {Ge: "of {ge} or more", Gt: "above {gt}", NONE: ""}
HIGH: dict[tuple[type, type], str] = {
    (Ge, Le): "to {le}", (Ge, Lt): "to below {lt}", (Gt, Le): "and at most {le}", (Gt, Lt): "and below {lt}",
    (NONE, Le): "of {le} or less", (NONE, Lt): "below {lt}", (Ge, NONE): "", (Gt, NONE): "", (NONE, NONE): "",
}  # fmt: skip
SIZES: dict[type, str] = {
    MultipleOf: "that is a multiple of {multiple_of}", MinLen: "(at least {min_length})",
    MaxLen: "(at most {max_length})",
}  # fmt: skip


# Values


def fits(annotation: Any, value: Any) -> bool:
    """Return whether a value is of a type and in its range."""
    try:
        check_value(annotation, value, "")
    except (ConfigError, UnknownNameError):
        return False
    return True


def check_value(annotation: Any, value: Any, where: str) -> Any:
    """Check a value and convert it: lists to tuples, integers to floats where those are declared.

    Raises:
        ConfigError: If the value is of another type or out of range; `where` names it.
        UnknownNameError: If it is none of the choices.
    """
    kind = without_range(annotation)
    if len(members(kind)) > 1:
        right = check_member(kind, value, where)
    elif get_origin(kind) is Literal:
        right = check_choice(get_args(kind), value, where)
    elif get_origin(kind) is tuple:
        right = check_tuple(annotation, value, where)
    elif is_scalar(kind, value):
        right = value if kind in (bool, NONE) else kind(value)
    else:
        return refuse(annotation, value, where)
    if not all(KEPT[type(limit)](limit, right) for limit in limits(annotation)):
        refuse(annotation, value, where)
    return right


def is_scalar(kind: Any, value: Any) -> bool:
    """Return whether a value is of a scalar type. NumPy numbers count, infinities and NaN do not."""
    if kind is int:
        return isinstance(value, Integral) and not isinstance(value, bool) and -WHOLE <= int(value) < WHOLE
    if kind is not float:
        return isinstance(value, kind)
    try:
        return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # a whole number beyond every float
        return False


def check_member(union: Any, value: Any, where: str) -> Any:
    """Check a value against the first member of a union that accepts it."""
    kind = next((member for member in members(union) if fits(member, value)), None)
    if kind is not None:
        return check_value(kind, value, where)
    listed = [member for member in members(union) if get_origin(member) is Literal]
    return check_value(listed[0], value, where) if listed else refuse(union, value, where)


def check_choice(choices: tuple[Any, ...], value: Any, where: str) -> Any:
    """Check that a value is one of the choices."""
    if not any(value == choice and type(value) is type(choice) for choice in choices):
        raise UnknownNameError("value", value, choices, where=f" for {where}")
    return value


def check_tuple(annotation: Any, value: Any, where: str) -> tuple[Any, ...]:
    """Check every entry of a list or tuple and return a tuple."""
    if not isinstance(value, list | tuple):
        return refuse(annotation, value, where)
    kinds = items(annotation) * (len(value) if of_any_length(annotation) else 1)
    if len(kinds) != len(value):
        return refuse(annotation, value, where)
    return tuple(
        check_value(kind, entry, f"entry {i} of {where}")
        for i, (kind, entry) in enumerate(zip(kinds, value, strict=True))
    )


KEPT: dict[Any, Callable[[Any, Any], bool]] = {
    Ge: lambda limit, value: value >= limit.ge,
    Gt: lambda limit, value: value > limit.gt,
    Le: lambda limit, value: value <= limit.le,
    Lt: lambda limit, value: value < limit.lt,
    MultipleOf: lambda limit, value: value % limit.multiple_of == 0,
    MinLen: lambda limit, value: len(value) >= limit.min_length,
    MaxLen: lambda limit, value: len(value) <= limit.max_length,
}
"""Test of a value for each kind of limit."""


def refuse(annotation: Any, value: Any, where: str) -> NoReturn:
    """Raise ConfigError for a value that is not of the type or is out of its range."""
    raise ConfigError(f"{where} should be {describe_with_article(annotation)}, not {short(value)}.")
