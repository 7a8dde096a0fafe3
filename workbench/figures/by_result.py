"""Single dispatch on the type of a result; implementations in this package are imported on first use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from functools import cache, singledispatch, update_wrapper
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor

from workbench.core.registry import VIEWS
from workbench.core.torch_internals import tree_leaves, tree_map_only

R_co = TypeVar("R_co", covariant=True)
F = TypeVar("F", bound=Callable[..., Any])


@runtime_checkable
class ByResult(Protocol[R_co]):
    """Function of a result with an implementation for each registered type."""

    def __call__(self, result: object, /) -> R_co: ...

    def register(self, implementation: F) -> F:
        """Decorator: use the implementation for results of the type that annotates its first argument."""
        ...

    def dispatch(self, kind: type) -> Callable[[Any], R_co]:
        """Return the implementation for results of a type."""
        ...


def convert_tensors(result: Any) -> Any:
    """Convert the tensors of a result for NumPy: without gradients, and bfloat16 as float32."""
    if not is_dataclass(result) or isinstance(result, type):
        return result
    held = {f.name: getattr(result, f.name) for f in fields(result) if f.init}
    changed = {name: tree_map_only(Tensor, convert_tensor, x) for name, x in held.items() if not is_plain(x)}
    return replace(result, **changed) if changed else result


def is_plain(value: Any) -> bool:
    """Return True if no tensor in a value needs a conversion."""
    return all(convert_tensor(leaf) is leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor))


def convert_tensor(x: Tensor) -> Tensor:
    """Return the tensor itself if NumPy supports it, else a converted copy."""
    if x.requires_grad:
        x = x.detach()
    if x.is_conj() or x.is_neg():
        x = x.resolve_conj().resolve_neg()
    return x.float() if is_unknown_to_numpy(x.dtype) else x


@cache
def is_unknown_to_numpy(dtype: torch.dtype) -> bool:
    """Return True if NumPy lacks the data type."""
    try:
        torch.empty(0, dtype=dtype).numpy()
    except TypeError:
        return True
    return False


def by_result(default: Callable[[Any], R_co]) -> ByResult[R_co]:
    """Return `functools.singledispatch` of `default`, which first loads the files that may register a better one."""

    def find(result: Any) -> R_co:
        VIEWS.discover()
        chosen = dispatcher.dispatch(type(result))
        return default(result) if chosen is find else chosen(result)

    dispatcher = singledispatch(update_wrapper(find, default))

    def draw(result: Any) -> R_co:
        return dispatcher(convert_tensors(result))

    drawing: Any = update_wrapper(draw, default)
    drawing.register, drawing.dispatch = dispatcher.register, dispatcher.dispatch
    return drawing
