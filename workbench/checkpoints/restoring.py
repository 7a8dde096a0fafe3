"""Dataclasses back from JSON: their type annotations say what each value must become."""

import types
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from workbench.core.errors import ConfigError, suggestion

T = TypeVar("T")


def restore(kind: type[T], stored: object, where: str = "") -> T:
    """The dataclass `kind` from the JSON object `stored`; every field must be there and no other.

    A field left out is an error even when it has a default: today's default need not be that of the day it was
    written.
    """
    where = where or kind.__name__
    if not isinstance(stored, Mapping):
        raise ConfigError(f"{where} should be an object with the fields of {kind.__name__}, not {stored!r}.")
    hints = annotations(kind)
    known = [field.name for field in fields(kind) if field.init]  # type: ignore[arg-type]
    for name in stored:
        if name not in known:
            raise ConfigError(f"{where} has no field {name!r}. {suggestion(str(name), known)}")
    for name in known:
        if name not in stored:
            raise ConfigError(f"{where} lacks the field {name!r} of {kind.__name__}. Add it, or write the file anew.")
    return kind(**{name: restore_value(hints[name], stored[name], f"{where}.{name}") for name in known})


@cache
def annotations(kind: type) -> dict[str, Any]:
    """The evaluated annotations of a dataclass's fields."""
    return get_type_hints(kind)


def restore_value(annotation: Any, stored: Any, where: str) -> Any:
    """`stored` as the annotation asks: lists become tuples, objects dataclasses; the rest is only checked."""
    if annotation in (Any, object) or isinstance(annotation, TypeVar):
        return stored
    if is_dataclass(annotation):
        return stored if isinstance(stored, annotation) else restore(annotation, stored, where)
    origin = get_origin(annotation) or annotation
    if origin in (Union, types.UnionType):
        return restore_union(get_args(annotation), stored, where)
    if origin is Literal:
        return require(stored in get_args(annotation), stored, annotation, where)
    if isinstance(origin, type) and issubclass(origin, Mapping | Sequence) and not issubclass(origin, str | bytes):
        return restore_container(origin, get_args(annotation), stored, where)
    return restore_scalar(annotation, stored, where)


def restore_union(members: tuple[Any, ...], stored: Any, where: str) -> Any:
    """The first member of the union that takes `stored`; exact types go before numbers that widen."""
    complaints = []
    for member in sorted(members, key=lambda m: type(stored) is not m):
        try:
            return restore_value(member, stored, where)
        except ConfigError as error:
            complaints.append(error)
    raise max(complaints, key=lambda error: len(str(error).partition(" ")[0]))  # the one that got deepest


def restore_container(origin: type, arguments: tuple[Any, ...], stored: Any, where: str) -> Any:
    """A dict, list or tuple, with its members restored; a tuple whose annotation fixes its length has that length."""
    if issubclass(origin, Mapping):
        require(isinstance(stored, Mapping), stored, origin, where)
        key, value = arguments or (Any, Any)
        return {restore_value(key, k, where): restore_value(value, v, f"{where}[{k!r}]") for k, v in stored.items()}
    require(isinstance(stored, list | tuple), stored, origin, where)
    if origin is not tuple or not arguments or arguments[-1] is Ellipsis:
        arguments = (arguments[0] if arguments else Any,) * len(stored)
    require(len(arguments) == len(stored), stored, f"{len(arguments)} values", where)
    members = (restore_value(a, v, f"{where}[{i}]") for i, (a, v) in enumerate(zip(arguments, stored, strict=True)))
    return list(members) if issubclass(origin, list) else tuple(members)


def restore_scalar(annotation: Any, stored: Any, where: str) -> Any:
    """A value whose type must be the annotation's; a whole number may stand where a float is asked for."""
    if annotation is None:
        annotation = types.NoneType
    if annotation is float and isinstance(stored, int) and not isinstance(stored, bool):
        return float(stored)
    # A jaxtyping annotation's shape is checked by the result's own class; here only that it is a tensor.
    wanted = getattr(annotation, "array_type", annotation)
    fits = isinstance(stored, wanted) and not (isinstance(stored, bool) and wanted in (int, float))
    return require(fits, stored, annotation, where)


def require(fits: bool, stored: T, annotation: Any, where: str) -> T:
    """`stored`, or one error that says what it should have been."""
    if not fits:
        wanted = getattr(annotation, "__name__", str(annotation))
        raise ConfigError(f"{where} should be {wanted}, not {stored!r}.")
    return stored
