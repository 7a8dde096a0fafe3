"""Deserialization of JSON into dataclasses by their type annotations."""

import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache, partial
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from workbench.core.errors import ConfigError, suggestion

T = TypeVar("T")
Reader = Callable[[Any, str], Any]
"""Converts a stored value, given its place for errors; raises ConfigError if it has another type."""


def restore(kind: type[T], stored: object, where: str = "") -> T:
    """Restore a dataclass of type `kind` from a JSON object with exactly its fields.

    A missing field is an error even if it has a default, since the default may have changed since the file was written.
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
    """Return the reader of each field of a dataclass; cached, since a result may hold half a million of them."""
    hints = get_type_hints(kind)
    return {field.name: reader(hints[field.name]) for field in fields(kind) if field.init}  # type: ignore[arg-type]


@cache
def reader(annotation: Any) -> Reader:
    """Return the reader of an annotation: tuples and dataclasses are converted, other values checked."""
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
    """Read by the first member of the union that accepts `stored`; exact types precede numbers that widen."""
    complaints = []
    for member in sorted(members, key=lambda m: type(stored) is not m):
        try:
            return reader(member)(stored, where)
        except ConfigError as error:
            complaints.append(error)
    raise max(complaints, key=lambda error: len(str(error).partition(" ")[0]))  # the one that got deepest


def restore_mapping(origin: type, arguments: tuple[Any, ...], stored: Any, where: str) -> Any:
    """Read a mapping with its keys and values."""
    require(isinstance(stored, Mapping), stored, origin, where)
    key, value = map(reader, arguments or (Any, Any))
    return {key(k, where): value(v, f"{where}[{k!r}]") for k, v in stored.items()}


def restore_sequence(origin: type, arguments: tuple[Any, ...], stored: Any, where: str) -> Any:
    """Read a list or tuple with its members; raises if a tuple has another length than annotated."""
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
    """Read a value of the annotated type; a whole number is converted to an annotated float."""
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
    """Return `stored`, or raise the error that names the expected type."""
    if not fits:
        wanted = getattr(annotation, "__name__", str(annotation))
        raise ConfigError(f"{where} should be {wanted}, not {stored!r}.")
    return stored
