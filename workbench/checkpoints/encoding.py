"""A result taken apart into tensors and JSON, and put together again from its class's annotations."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

from torch import Tensor

from workbench.checkpoints.restoring import restore
from workbench.core.errors import CheckpointError, ConfigError

T = TypeVar("T")
TENSOR, TUPLE, ITEMS, SLICE = "$tensor", "$tuple", "$items", "$slice"


def encode(result: object) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of a dataclass by their path in it, and everything else as JSON values that point to them."""
    tensors: dict[str, Tensor] = {}
    if not is_dataclass(result) or isinstance(result, type):
        raise ConfigError(f"Only results that are dataclasses can be stored, not {result!r}.")
    return tensors, {f.name: take_apart(getattr(result, f.name), f.name, tensors) for f in fields(result) if f.init}


def take_apart(value: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    """`value` as JSON values; its tensors go into `tensors`."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, Tensor):
        while path in tensors:  # keys with dots in them can spell another path
            path += "_"
        tensors[path] = value
        return {TENSOR: path}
    if isinstance(value, slice):
        return {SLICE: [value.start, value.stop, value.step]}
    if is_dataclass(value) and not isinstance(value, type):
        return {
            f.name: take_apart(getattr(value, f.name), f"{path}.{f.name}", tensors) for f in fields(value) if f.init
        }
    if isinstance(value, list | tuple):
        members = [take_apart(member, f"{path}.{i}", tensors) for i, member in enumerate(value)]
        return {TUPLE: members} if isinstance(value, tuple) else members
    if isinstance(value, Mapping):
        return take_mapping_apart(value, path, tensors)
    raise ConfigError(
        f"The field {path} holds a {type(value).__name__}, which cannot be stored. A result is made of "
        "tensors, numbers, texts, None, and dataclasses, lists, tuples and dicts of these."
    )


def take_mapping_apart(value: Mapping[Any, Any], path: str, tensors: dict[str, Tensor]) -> dict[str, Any]:
    """A JSON object when the keys are plain texts, else the items in their order."""
    if all(type(key) is str and not key.startswith("$") for key in value):
        return {key: take_apart(member, f"{path}.{key}", tensors) for key, member in value.items()}
    pairs = enumerate(value.items())
    return {ITEMS: [[take_apart(part, f"{path}.{i}.{j}", tensors) for j, part in enumerate(p)] for i, p in pairs]}


def decode(kind: type[T], tensors: Mapping[str, Tensor], stored: Mapping[str, Any]) -> T:
    """The dataclass `kind` from what `encode` gave; fields that were added since may be missing."""
    added = {f.name: f.default_factory() for f in fields(kind) if f.metadata.get("added")}  # type: ignore[arg-type]
    return restore(kind, added | put_together(stored, tensors), kind.__name__)


def put_together(stored: Any, tensors: Mapping[str, Tensor]) -> Any:
    """Plain values from JSON values, with the tensors they point to; dataclasses are still dicts."""
    if not isinstance(stored, dict):
        return [put_together(member, tensors) for member in stored] if isinstance(stored, list) else stored
    match stored:
        case {"$tensor": path}:
            return pointed_to(path, tensors)
        case {"$slice": ends}:
            return slice(*ends)
        case {"$tuple": members}:
            return tuple(put_together(members, tensors))
        case {"$items": pairs}:
            return {put_together(key, tensors): put_together(value, tensors) for key, value in pairs}
    return {key: put_together(value, tensors) for key, value in stored.items()}


def pointed_to(path: str, tensors: Mapping[str, Tensor]) -> Tensor:
    """The tensor at `path` of a stored result."""
    if path not in tensors:
        raise CheckpointError(f"A stored result lacks its tensor {path!r}. Delete it and run it again.")
    return tensors[path]
