"""Private interfaces of PyTorch, all in one file. `pyproject.toml` bounds the versions in which they are tested."""

from __future__ import annotations

import sys

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map, tree_map_only, tree_unflatten

__all__ = [
    "TorchDispatchMode",
    "is_compiled",
    "tree_flatten",
    "tree_leaves",
    "tree_map",
    "tree_map_only",
    "tree_unflatten",
    "unwrap",
]


def unwrap(x: Tensor) -> Tensor:
    """Return the tensor that a functional wrapper holds, after applying its pending writes."""
    if not torch._is_functional_tensor(x):
        return x
    torch._sync(x)
    return unwrap(torch._from_functional_tensor(x))


def is_compiled(module: nn.Module) -> bool:
    """Return whether a module was compiled by `torch.compile` or its `compile` method.

    The compiler is imported by whoever compiles; importing it here would take two seconds.
    """
    compiler = sys.modules.get("torch._dynamo.eval_frame")
    return module._compiled_call_impl is not None or (
        compiler is not None and isinstance(module, compiler.OptimizedModule)
    )
