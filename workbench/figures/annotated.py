"""What a result's shape annotations say of its tensors: the names of their axes."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import Any, get_type_hints

from torch import Tensor

from workbench.core.errors import InputError


@dataclass(frozen=True)
class Field:
    """One tensor of a result and the names of its axes."""

    name: str
    axes: tuple[str, ...]
    tensor: Tensor


def tensors_of(result: Any) -> list[Field]:
    """The tensors of a result, in the order of their declaration."""
    if not is_dataclass(result) or isinstance(result, type):
        raise InputError(
            f"A {type(result).__name__} is not a result, so there is nothing to show. Pass what an analysis gave."
        )
    hints = get_type_hints(type(result), include_extras=True)
    values = ((f.name, getattr(result, f.name)) for f in fields(result))
    found = [Field(name, axis_names(hints[name], x), x.detach().cpu()) for name, x in values if isinstance(x, Tensor)]
    if not found:
        raise InputError(f"A {type(result).__name__} holds no tensor to draw. Look at its fields instead.")
    return found


def axis_names(annotation: Any, x: Tensor) -> tuple[str, ...]:
    """The annotation's names, one for each axis; one such as `*grid` names as many as are left over."""
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
    """The tensor a picture is made of: the first with the most axes, at most two of them without the batch."""
    return max(tensors_of(result), key=lambda field: field.tensor.ndim)
