"""Conditions under which a recording is valid: the form of its inputs and the state of the network."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

PLAIN = (bool, int, float, complex, str, bytes, type(None), torch.dtype, torch.device)
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
Leaf = tuple[str, Any]
Form = tuple[tuple[str, Hashable], ...]
"""The place of each leaf of some inputs, and its type and shape or its value."""
State = dict[str, Hashable]
"""Everything that decides the work of a network, by its place."""


def leaves_of(inputs: Any, place: str = "") -> Iterator[Leaf]:
    """Yield the leaves of nested inputs with their places, entries of mappings in the order of their names."""
    if isinstance(inputs, Mapping):
        for name in sorted(inputs, key=str):
            yield from leaves_of(inputs[name], f"{place}.{name}")
    elif isinstance(inputs, list | tuple):
        for i, entry in enumerate(inputs):
            yield from leaves_of(entry, f"{place}.{i}")
    else:
        yield place, inputs


def tensors_of(inputs: Any) -> list[Tensor]:
    """Return the tensors among inputs, entries of mappings in the order of their names."""
    return [leaf for _, leaf in leaves_of(inputs) if isinstance(leaf, Tensor)]


def form_of(inputs: Any, shared: Collection[int] = ()) -> Form:
    """Return the form of inputs.

    Args:
        inputs: Nested inputs.
        shared: Numbers of the tensors that have no rows; of the others the first axis is left out.
    """
    form, n = list[tuple[str, Hashable]](), 0
    for place, leaf in leaves_of(inputs):
        if isinstance(leaf, Tensor):
            form.append((place, (leaf.dtype, tuple(leaf.shape if n in shared else leaf.shape[1:]))))
            n += 1
        else:
            form.append((place, _value(leaf)))
    return tuple(form)


def state_of(module: nn.Module) -> State:
    """Return the identity of every part, weight, hook and plain attribute of a network.

    Cost: About a microsecond for each parameter and attribute.
    """
    state: State = {}
    for path, part in module.named_modules():
        state[path] = (id(part), *(tuple(getattr(part, hooks)) for hooks in HOOKS))
        for name, value in part.__dict__.items():
            if name in ("_parameters", "_buffers"):
                state |= {f"{path}.{key}": _value(x) for key, x in value.items()}
            elif name != "training" and not (name.startswith("_") and name in _OWN):
                state[f"{path}.{name}"] = _value(value)
    return state


_OWN = frozenset(nn.Module().__dict__)
"""Attributes that every module has."""


def _value(leaf: Any) -> Hashable:
    """Return a plain value itself, and the identity of anything else; a tensor's with its memory and its version."""
    if isinstance(leaf, Tensor):
        memory = 0 if leaf.is_meta or leaf.is_sparse else leaf.data_ptr()
        return id(leaf), memory, 0 if leaf.is_inference() else leaf._version, leaf.dtype, tuple(leaf.shape)
    if isinstance(leaf, tuple | list):
        return tuple(map(_value, leaf))
    return (type(leaf), leaf) if isinstance(leaf, PLAIN) else id(leaf)
