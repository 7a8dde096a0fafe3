"""Serialization of results to tensors and JSON, and back by the annotations of their class."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

from torch import Tensor

from workbench.checkpoints.deserialization import restore
from workbench.core.errors import CheckpointError, ConfigError

T = TypeVar("T")
TENSOR, TUPLE, ITEMS, SLICE = "$tensor", "$tuple", "$items", "$slice"


def encode(result: object) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Convert a dataclass to tensors by path and to JSON values that refer to them."""
    tensors: dict[str, Tensor] = {}
    if not is_dataclass(result) or isinstance(result, type):
        raise ConfigError(f"Only results that are dataclasses can be stored, not {result!r}.")
    return tensors, {f.name: to_json_values(getattr(result, f.name), f.name, tensors) for f in fields(result) if f.init}


def to_json_values(value: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    """Convert `value` to JSON values and move its tensors into `tensors`."""
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
            f.name: to_json_values(getattr(value, f.name), f"{path}.{f.name}", tensors) for f in fields(value) if f.init
        }
    if isinstance(value, list | tuple):
        members = [to_json_values(member, f"{path}.{i}", tensors) for i, member in enumerate(value)]
        return {TUPLE: members} if isinstance(value, tuple) else members
    if isinstance(value, Mapping):
        return mapping_to_json(value, path, tensors)
    raise ConfigError(
        f"The field {path} holds a {type(value).__name__}, which cannot be stored. A result is made of "
        "tensors, numbers, texts, None, and dataclasses, lists, tuples and dicts of these."
    )


def mapping_to_json(value: Mapping[Any, Any], path: str, tensors: dict[str, Tensor]) -> dict[str, Any]:
    """Convert a mapping to a JSON object if its keys are plain texts, else to a list of items."""
    if all(type(key) is str and not key.startswith("$") for key in value):
        return {key: to_json_values(member, f"{path}.{key}", tensors) for key, member in value.items()}
    pairs = enumerate(value.items())
    return {ITEMS: [[to_json_values(part, f"{path}.{i}.{j}", tensors) for j, part in enumerate(p)] for i, p in pairs]}


def decode(kind: type[T], tensors: Mapping[str, Tensor], stored: Mapping[str, Any]) -> T:
    """Restore a dataclass of type `kind` from the output of `encode`."""
    added = {f.name: f.default_factory() for f in fields(kind) if f.metadata.get("added")}  # type: ignore[arg-type]
    return restore(kind, added | insert_tensors(stored, tensors), kind.__name__)


def insert_tensors(stored: Any, tensors: Mapping[str, Tensor]) -> Any:
    """Insert the tensors into JSON values; dataclasses are still dicts."""
    if not isinstance(stored, dict):
        return [insert_tensors(member, tensors) for member in stored] if isinstance(stored, list) else stored
    match stored:
        case {"$tensor": path}:
            return look_up_tensor(path, tensors)
        case {"$slice": ends}:
            return slice(*ends)
        case {"$tuple": members}:
            return tuple(insert_tensors(members, tensors))
        case {"$items": pairs}:
            return {insert_tensors(key, tensors): insert_tensors(value, tensors) for key, value in pairs}
    return {key: insert_tensors(value, tensors) for key, value in stored.items()}


def look_up_tensor(path: str, tensors: Mapping[str, Tensor]) -> Tensor:
    """Return the tensor at `path` of a stored result."""
    if path not in tensors:
        raise CheckpointError(f"A stored result lacks its tensor {path!r}. Delete it and run it again.")
    return tensors[path]
