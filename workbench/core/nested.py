"""Tensors inside nested values: containers known to torch's pytree, and dataclasses."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import FrozenInstanceError, fields, is_dataclass
from typing import Any

import torch
from torch import Tensor

from workbench.core.torch_internals import tree_flatten, tree_unflatten

Rebuild = Callable[[Sequence[Any]], Any]


def flatten(value: Any) -> tuple[list[Any], Rebuild]:
    """Return the leaves of a nested value and a function that builds the same value from other leaves.

    Lists, tuples, named tuples, dictionaries, registered classes such as Hugging Face's `ModelOutput`, and dataclasses
    are opened. Anything else is one leaf, a tensor or not.
    """
    outer, structure = tree_flatten(value)
    leaves: list[Any] = []
    parts: list[tuple[int, Rebuild | None]] = []
    for leaf in outer:
        if is_dataclass(leaf) and not isinstance(leaf, type):
            inner, rebuild = _flatten_dataclass(leaf)
            leaves += inner
            parts.append((len(inner), rebuild))
        else:
            leaves.append(leaf)
            parts.append((1, None))

    def rebuild_all(new: Sequence[Any]) -> Any:
        place, rebuilt = 0, []
        for size, rebuild in parts:
            own = new[place : place + size]
            rebuilt.append(own[0] if rebuild is None else rebuild(own))
            place += size
        return tree_unflatten(rebuilt, structure)

    return leaves, rebuild_all


def _flatten_dataclass(value: Any) -> tuple[list[Any], Rebuild]:
    names = [field.name for field in fields(value) if hasattr(value, field.name)]
    leaves, rebuild = flatten([getattr(value, name) for name in names])

    def rebuild_dataclass(new: Sequence[Any]) -> Any:
        changed = copy.copy(value)
        for name, content in zip(names, rebuild(new), strict=True):
            try:
                setattr(changed, name, content)
            except FrozenInstanceError:
                object.__setattr__(changed, name, content)
        return changed

    return leaves, rebuild_dataclass


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Return the tensors of a nested value, in order."""
    return (leaf for leaf in flatten(value)[0] if isinstance(leaf, Tensor))


def map_tensors(function: Callable[[Tensor], Any], value: Any) -> Any:
    """Apply a function to each tensor of a nested value."""
    leaves, rebuild = flatten(value)
    return rebuild([function(leaf) if isinstance(leaf, Tensor) else leaf for leaf in leaves])


def is_plain(value: Any) -> bool:
    """Return whether a tensor can be indexed: not sparse, nested or quantised."""
    return isinstance(value, Tensor) and value.layout == torch.strided and not (value.is_nested or value.is_quantized)
