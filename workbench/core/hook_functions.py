"""Calls of user hook functions. Each gets a copy of the activation, so writing into it has no side effects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from workbench.core.errors import InputError, ShapeError, short


def require_function(function: Any, name: str) -> Callable[..., Any]:
    """Return a hook function; raises InputError if it is not callable."""
    if not callable(function):
        raise InputError(f"The edit at {name!r} is {short(function)}. Pass a function of the activation.")
    return function


def apply_function(name: str, function: Callable[[Tensor], Any], x: Tensor) -> Tensor:
    """Apply a hook function to an activation or gradient.

    The function gets a copy, because `x` may be a view of a weight, of the inputs or of another activation. It returns
    a tensor, or None to use the copy with its changes. Any other result is copied, because the network may write into
    it later.

    Raises:
        InputError: If the result is not a tensor, or has another dtype or device.
        ShapeError: If the result has another shape.
    """
    own = x.clone()
    y = function(own)
    if y is None or y is own:
        y = own
    elif not isinstance(y, Tensor):
        raise InputError(
            f"The function at {name!r} returned a {type(y).__name__}. Return a tensor of shape {tuple(x.shape)}, or "
            "None for the tensor it was given."
        )
    if y.shape != x.shape:
        raise ShapeError(
            f"The edit at {name!r} returned shape {tuple(y.shape)} for an activation of shape {tuple(x.shape)}. "
            "Return a tensor of the same shape, or None for the tensor it was given."
        )
    if (y.dtype, y.device) != (x.dtype, x.device):
        raise InputError(
            f"The edit at {name!r} returned {y.dtype} on {y.device} for an activation of {x.dtype} on {x.device}. "
            "Return y.to(x), where x is the tensor it was given."
        )
    return y if y is own else y.clone()


def apply_lens_function(function: Callable[..., Any], x: Tensor, hook: Any) -> Tensor:
    """Apply a TransformerLens-style hook function, `function(activation, hook=point)`."""
    return apply_function(str(hook.name), lambda own: function(own, hook=hook), x)
