"""What listens at a hook point: keeps the activation, replaces it, or watches its gradient."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from torch import Tensor

from workbench.core.allocator import keep_freed_pages
from workbench.core.errors import InputError, OverwrittenError, ShapeError
from workbench.core.hook_points import AxisHookPoint, Handler


class Capture:
    """Activations as they passed, and proof that nothing changed them afterwards."""

    def __init__(self, copy: bool) -> None:
        self.copy = copy
        self.tensors: dict[str, Tensor] = {}
        self.versions: dict[str, int] = {}
        keep_freed_pages()

    def keep(self, name: str, x: Tensor) -> Tensor:
        """Remembers an activation and passes it on."""
        kept = x.clone() if self.copy else x
        self.tensors[name] = kept
        self.versions[name] = kept._version
        return x

    def checked(self) -> dict[str, Tensor]:
        """The activations by name; raises when one was overwritten in place after it was seen."""
        bad = [name for name, x in self.tensors.items() if x._version != self.versions[name]]
        if bad:
            raise OverwrittenError(
                f"{len(bad)} of {len(self.tensors)} cached activations were overwritten in place after they passed "
                f"their hook, {bad[0]!r} first: an in-place operation such as ReLU(inplace=True) or += follows it. "
                "Cache with copy=True, or make the operation out of place."
            )
        return self.tensors


def chained(outer: Mapping[str, Handler] | None, name: str, handler: Handler, fired: set[str]) -> Handler:
    """A handler inside any outer one, which notes that it fired."""
    before = (outer or {}).get(name)

    def run(x: Tensor) -> Tensor:
        fired.add(name)
        return handler(x if before is None else before(x))

    return run


def unchanged(x: Tensor) -> Tensor:
    """The activation as it is."""
    return x


def then(first: Handler | None, second: Handler) -> Handler:
    """One handler after another."""
    return second if first is None else lambda x: second(first(x))


def checked(name: str, function: Callable[[Tensor], Tensor | None], x: Tensor) -> Tensor:
    """The function's activation, of the same shape; None leaves it as it is."""
    y = function(x)
    if y is None:
        return x
    if y.shape != x.shape:
        raise ShapeError(
            f"The edit at {name!r} returned shape {tuple(y.shape)} for an activation of shape {tuple(x.shape)}. "
            "Return a tensor of the same shape, or None to leave it as it is."
        )
    return y


def value_handler(function: Callable[..., Any], point: AxisHookPoint) -> Handler:
    """A TransformerLens-style `fn(activation, hook=point)`."""
    return partial(checked, str(point.name), partial(function, hook=point))


def gradient_handler(function: Callable[..., Any], point: AxisHookPoint) -> Handler:
    """The same for the gradient, when the backward pass comes by."""

    def listen(x: Tensor) -> Tensor:
        if not x.requires_grad:
            raise InputError(f"No gradient flows through {point.name!r}. Run with gradients enabled.")
        x.register_hook(partial(function, hook=point))
        return x

    return listen
