"""Axis names of a result's tensors, from its shape annotations."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import Any, get_type_hints

from torch import Tensor

from workbench.core.errors import InputError


@dataclass(frozen=True)
class Field:
    """Tensor of a result and the names of its axes."""

    name: str
    axes: tuple[str, ...]
    tensor: Tensor


def list_tensors(result: Any) -> list[Field]:
    """Return the tensors of a result in the order of declaration."""
    if not is_dataclass(result) or isinstance(result, type):
        raise InputError(f"A {type(result).__name__} is not a result. Pass the result of an analysis.")
    hints = get_type_hints(type(result), include_extras=True)
    values = ((f.name, getattr(result, f.name)) for f in fields(result))
    found = [Field(name, axis_names(hints[name], x), x.detach().cpu()) for name, x in values if isinstance(x, Tensor)]
    if not found:
        raise InputError(f"A {type(result).__name__} has no tensor to draw. Use its fields instead.")
    return found


def axis_names(annotation: Any, x: Tensor) -> tuple[str, ...]:
    """Return one name per axis from a shape annotation. `*grid` names all remaining axes."""
    names: list[str] = []
    written = getattr(annotation, "dim_str", "...").split()
    for name in written:
        if name.startswith("*") or name == "...":
            extra = x.ndim - len(written) + 1
            stem = name.strip("*.") or "axis"
            names += [stem] if extra == 1 else [f"{stem} {i}" for i in range(extra)]
        else:
            names.append(name.lstrip("#?_") or "axis")
    return tuple(names) if len(names) == x.ndim else tuple(f"axis {i}" for i in range(x.ndim))


def main_tensor(result: Any) -> Field:
    """Return the tensor to draw: the first one with the most axes."""
    return max(list_tensors(result), key=lambda field: field.tensor.ndim)
