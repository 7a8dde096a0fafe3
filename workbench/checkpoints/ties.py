"""Weights shared by several parts of a model: stored once and shared again after loading."""

from collections.abc import Mapping
from itertools import pairwise

from torch import Tensor, nn

from workbench.core.errors import CheckpointError, suggestion

TIED = "tied"
"""Key of the shared names in a file's header."""


def ties_of(model: nn.Module) -> dict[str, str]:
    """Map each name that shares its tensor with an earlier one to that one.

    Raises:
        CheckpointError: If tensors overlap in memory without being the same, such as a matrix and its transpose: after
            loading they would be apart.
    """
    first: dict[tuple[object, ...], str] = {}
    ties: dict[str, str] = {}
    state = {name: tensor for name, tensor in model.state_dict().items() if tensor.numel()}
    for name, tensor in state.items():
        owner = first.setdefault((tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype), name)
        if owner != name:
            ties[name] = owner
    memory = sorted((*extent(state[name]), name) for name in first.values())
    for (_, end, one), (begin, _, other) in pairwise(memory):
        if begin < end:
            raise CheckpointError(
                f"{one!r} and {other!r} share memory in different shapes, and would be apart when loaded. Let both be "
                "one nn.Parameter, or give one of them a copy: tensor.clone()."
            )
    return ties


def extent(tensor: Tensor) -> tuple[int, int]:
    """Return the addresses of the first byte of a tensor and of the byte after its last."""
    last = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return tensor.data_ptr(), tensor.data_ptr() + (last + 1) * tensor.element_size()


def tie(model: nn.Module, ties: Mapping[str, str], where: str) -> None:
    """Make exactly these names share their tensors; other ties of the architecture are separated."""
    names, present = model.state_dict(keep_vars=True), ties_of(model)
    for name in (*ties, *ties.values()):
        if name not in names:
            raise CheckpointError(f"{where} says that {name!r} is shared. {suggestion(name, names)}")
    for alias in present:
        if ties.get(alias) != present[alias]:
            put(model, alias, copy_tensor(names[alias]))
    for alias, owner in ties.items():
        if names[alias].shape != names[owner].shape:
            raise CheckpointError(f"{where} says that {alias!r} and {owner!r} are one tensor, but their shapes differ.")
        if present.get(alias) != owner:
            put(model, alias, names[owner])


def copy_tensor(tensor: Tensor) -> Tensor:
    """Copy a tensor or parameter to new memory."""
    copy = tensor.detach().clone()
    return nn.Parameter(copy, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else copy


def put(model: nn.Module, name: str, tensor: Tensor) -> None:
    """Replace the parameter or buffer of that name."""
    path, _, leaf = name.rpartition(".")
    setattr(model.get_submodule(path), leaf, tensor)
