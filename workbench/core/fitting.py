"""Which techniques fit which network: a technique names the axes it needs, and a network has them or not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from torch import Tensor
from torch.utils._pytree import tree_leaves

from workbench.core.errors import ConfigError, InputError
from workbench.core.hooked import HookedModel

T = TypeVar("T", bound=Callable[..., Any])


def needs_axes(*axes: str) -> Callable[[T], T]:
    """Decorator: the technique works on networks that have these axes at some hook; without it, on all."""

    def remember(technique: T) -> T:
        technique.needed_axes = axes  # type: ignore[attr-defined]
        return technique

    return remember


def missing_axes(technique: Callable[..., Any], model: HookedModel) -> list[str]:
    """The axes that a technique needs and the network lacks; none when it fits."""
    there = {axis for hook in model.hook_dict.values() for axis in hook.axes}
    return [axis for axis in getattr(technique, "needed_axes", ()) if axis not in there]


def require_fit(name: str, technique: Callable[..., Any], model: Any) -> None:
    """Raises when the technique does not fit the network."""
    if not isinstance(model, HookedModel):
        raise InputError(f"{name!r} needs a model: one of `workbench.load(NAME)`, or of `workbench.wrap`.")
    if missing := missing_axes(technique, model):
        raise ConfigError(
            f"{name!r} works on networks with an axis {missing[0]!r}, and {type(model).__name__} has none. Choose "
            "another model; `workbench list models` names their architectures."
        )


def check_inputs(inputs: Any, name: str) -> None:
    """Raise InputError if an entry of the inputs is infinite or not a number, which would spoil every result."""
    for leaf in tree_leaves(inputs):
        if isinstance(leaf, Tensor) and leaf.is_floating_point() and not leaf.isfinite().all():
            place = (~leaf.isfinite()).nonzero()[0].tolist()
            raise InputError(
                f"{name!r} holds {leaf[tuple(place)].item()} at index {place} of its shape {tuple(leaf.shape)}. "
                "Replace what is not finite."
            )


def explain_inputs(model: Any, inputs: Any, error: Exception) -> None:
    """Raise InputError if inputs with which a model failed differ from what it takes; else return."""
    if isinstance(model, HookedModel):
        taken, given = described(model.example()), described(inputs)
        if taken != given:
            raise InputError(
                f"{type(model).__name__} cannot take these inputs ({type(error).__name__}: {first_line(error)}). It "
                f"takes {', '.join(taken)}, the batch first, and was given {', '.join(given) or 'nothing'}."
            ) from error


def first_line(error: Exception) -> str:
    """The first line of an error's message, without its full stop."""
    return (str(error).splitlines() or [""])[0].rstrip(".")


def described(inputs: Any) -> list[str]:
    """The type and shape of each tensor of some inputs, without the number of rows."""
    return [
        f"{str(leaf.dtype).removeprefix('torch.')} {['batch', *leaf.shape[1:]]}"
        if isinstance(leaf, Tensor) and leaf.ndim
        else f"a {type(leaf).__name__}"
        for leaf in tree_leaves(inputs)
    ]
