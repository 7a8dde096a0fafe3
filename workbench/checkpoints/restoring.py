"""Dataclasses back from JSON: their type annotations say what each value must become."""

import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache, partial
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from workbench.core.errors import ConfigError, suggestion

T = TypeVar("T")
Reader = Callable[[Any, str], Any]
"""From a stored value, and where it stands, to the value; raises ConfigError where it is another."""


def restore(kind: type[T], stored: object, where: str = "") -> T:
    """The dataclass `kind` from the JSON object `stored`; every field must be there and no other.

    A field left out is an error even when it has a default: today's default need not be that of the day it was written.
    """
    where = where or kind.__name__
    if not isinstance(stored, Mapping):
        raise ConfigError(f"{where} should be an object with the fields of {kind.__name__}, not {stored!r}.")
    readers = field_readers(kind)
    for name in stored:
        if name not in readers:
            raise ConfigError(f"{where} has no field {name!r}. {suggestion(str(name), list(readers))}")
    for name in readers:
        if name not in stored:
            raise ConfigError(f"{where} lacks the field {name!r} of {kind.__name__}. Add it, or write the file anew.")
    return kind(**{name: read(stored[name], f"{where}.{name}") for name, read in readers.items()})


@cache
def field_readers(kind: type) -> dict[str, Reader]:
    """What reads each field of a dataclass; looked up once, since a result may hold half a million of them."""
    hints = get_type_hints(kind)
    return {field.name: reader(hints[field.name]) for field in fields(kind) if field.init}  # type: ignore[arg-type]


@cache
def reader(annotation: Any) -> Reader:
    """What turns a stored value into what the annotation asks: a tuple, a dataclass; the rest is only checked."""
    if annotation in (Any, object) or isinstance(annotation, TypeVar):
        return lambda stored, where: stored
    if is_dataclass(annotation):
        return lambda stored, where: stored if isinstance(stored, annotation) else restore(annotation, stored, where)
    origin, arguments = get_origin(annotation) or annotation, get_args(annotation)
    if origin in (Union, types.UnionType):
        return partial(restore_union, arguments)
    if origin is Literal:
        return lambda stored, where: require(stored in arguments, stored, annotation, where)
    if isinstance(origin, type) and issubclass(origin, Mapping | Sequence) and not issubclass(origin, str | bytes):
        return partial(restore_mapping if issubclass(origin, Mapping) else restore_sequence, origin, arguments)
    return partial(restore_scalar, annotation)


def restore_union(members: tuple[Any, ...], stored: Any, where: str) -> Any:
    """The first member of the union that takes `stored`; exact types go before numbers that widen."""
    complaints = []
    for member in sorted(members, key=lambda m: type(stored) is not m):
        try:
            return reader(member)(stored, where)
        except ConfigError as error:
            complaints.append(error)
    raise max(complaints, key=lambda error: len(str(error).partition(" ")[0]))  # the one that got deepest


def restore_mapping(origin: type, arguments: tuple[Any, ...], stored: Any, where: str) -> Any:
    """A dict with its keys and values restored."""
    require(isinstance(stored, Mapping), stored, origin, where)
    key, value = map(reader, arguments or (Any, Any))
    return {key(k, where): value(v, f"{where}[{k!r}]") for k, v in stored.items()}


def restore_sequence(origin: type, arguments: tuple[Any, ...], stored: Any, where: str) -> Any:
    """A list or tuple with its members restored; a tuple whose annotation fixes its length has that length."""
    require(isinstance(stored, list | tuple), stored, origin, where)
    if origin is not tuple or not arguments or arguments[-1] is Ellipsis:
        read = reader(arguments[0] if arguments else Any)
        members = [read(member, f"{where}[{i}]") for i, member in enumerate(stored)]
    else:
        require(len(arguments) == len(stored), stored, f"{len(arguments)} values", where)
        pairs = zip(arguments, stored, strict=True)
        members = [reader(argument)(member, f"{where}[{i}]") for i, (argument, member) in enumerate(pairs)]
    return members if issubclass(origin, list) else tuple(members)


def restore_scalar(annotation: Any, stored: Any, where: str) -> Any:
    """A value whose type must be the annotation's; a whole number may stand where a float is asked for."""
    if type(stored) is annotation:
        return stored
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
