"""Hook functions that keep an activation, replace it, or pass on its gradient."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from functools import partial
from typing import Any

from torch import Tensor, nn

from workbench.core.errors import InputError, OverwrittenError
from workbench.core.hook_functions import apply_function, apply_lens_function, require_function
from workbench.core.hook_points import AxisHookPoint, HookFn
from workbench.core.torch_internals import tree_leaves


class Capture:
    """Captured activations, with their versions to detect later in-place writes.

    Activations named in `copied` are copied, as are weights and views of them (a position table) and inference tensors,
    which have no version counter.
    """

    def __init__(self, copied: Container[str]) -> None:
        self.copied = copied
        self.tensors: dict[str, Tensor] = {}
        self.versions: dict[str, int] = {}

    def keep(self, name: str, x: Tensor) -> Tensor:
        """Store an activation and return it."""
        if name in self.copied or x.is_inference() or issubclass(type(base_of(x)), nn.Parameter):
            self.tensors[name] = x.clone()
            self.versions.pop(name, None)
        else:
            self.tensors[name] = x
            self.versions[name] = x._version
        return x

    def apart_from(self, inputs: Any) -> dict[str, Tensor]:
        """Return the activations, with copies of those that are inputs or views of them."""
        given = {id(base_of(x)) for x in tree_leaves(inputs) if isinstance(x, Tensor)}
        return {name: x.clone() if id(base_of(x)) in given else x for name, x in self.tensors.items()}

    @property
    def overwritten(self) -> list[str]:
        """Names of the activations that were overwritten after they were captured."""
        return [name for name, version in self.versions.items() if self.tensors[name]._version != version]

    def error(self) -> OverwrittenError:
        """Return the error for activations that were overwritten."""
        bad = self.overwritten
        return OverwrittenError(
            f"{len(bad)} of {len(self.tensors)} cached activations were overwritten in place after they passed "
            f"their hook, {bad[0]!r} first: an in-place operation such as ReLU(inplace=True) or += follows it. "
            "Cache with copy=True, or make the operation out of place."
        )


def base_of(x: Tensor) -> Tensor:
    """Return the base of a view, or the tensor itself."""
    return x if x._base is None else x._base


class Everything(Container[str]):
    """Container of every name."""

    def __contains__(self, name: object) -> bool:
        return True


def versions(tree: Any) -> list[int]:
    """Return the version counter of each tensor in a tree, except inference tensors, which have none."""
    if isinstance(tree, Tensor):
        return [] if tree.is_inference() else [tree._version]
    return [x._version for x in tree_leaves(tree) if isinstance(x, Tensor) and not x.is_inference()]


def chain(outer: Mapping[str, HookFn] | None, name: str, handler: HookFn, fired: set[str]) -> HookFn:
    """Call a hook function after the one of an outer context, and record that it fired."""
    before = (outer or {}).get(name)

    def run(x: Tensor) -> Tensor:
        fired.add(name)
        return handler(x if before is None else before(x))

    return run


def identity(x: Tensor) -> Tensor:
    """Return the activation unchanged."""
    return x


def compose(first: HookFn | None, second: HookFn) -> HookFn:
    """Compose two hook functions."""
    return second if first is None else lambda x: second(first(x))


def function_handler(name: str, function: Callable[[Tensor], Any]) -> HookFn:
    """Wrap a user's `function(activation)`."""
    return partial(apply_function, name, require_function(function, name))


def value_handler(function: Callable[..., Any], point: AxisHookPoint) -> HookFn:
    """Wrap a TransformerLens-style `function(activation, hook=point)`."""
    return partial(apply_lens_function, require_function(function, str(point.name)), hook=point)


def gradient_handler(function: Callable[..., Any], point: AxisHookPoint) -> HookFn:
    """Wrap a TransformerLens-style `function(gradient, hook=point)`, called in the backward pass.

    The gradient is with respect to what reads the activation after this hook point. The torch hook is registered on a
    view, so weights and inputs keep none.
    """
    require_function(function, str(point.name))

    def listen(x: Tensor) -> Tensor:
        if not x.requires_grad:
            raise InputError(f"No gradient flows through {point.name!r}. Run with gradients enabled.")
        seen = x.view_as(x)
        seen.register_hook(partial(apply_lens_function, function, hook=point))
        return seen

    return listen
