"""Requirements of analyses on the axes of a network, and the check that a network meets them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from workbench.core.errors import ConfigError, InputError
from workbench.core.hooked import HookedModel

T = TypeVar("T", bound=Callable[..., Any])


def needs_axes(*axes: str) -> Callable[[T], T]:
    """Decorate an analysis that needs networks with these axes at some hook."""

    def remember(technique: T) -> T:
        technique.needed_axes = axes  # type: ignore[attr-defined]
        return technique

    return remember


def missing_axes(technique: Callable[..., Any], model: HookedModel) -> list[str]:
    """Return the axes that an analysis needs and the network lacks."""
    there = {axis for hook in model.hook_dict.values() for axis in hook.axes}
    return [axis for axis in getattr(technique, "needed_axes", ()) if axis not in there]


def require_fit(name: str, technique: Callable[..., Any], model: Any) -> None:
    """Raise ConfigError if the analysis does not fit the network."""
    if not isinstance(model, HookedModel):
        raise InputError(f"{name!r} needs a model: one of `workbench.load(NAME)`, or of `workbench.wrap`.")
    if missing := missing_axes(technique, model):
        raise ConfigError(
            f"{name!r} works on networks with an axis {missing[0]!r}, and {type(model).__name__} has none. Choose "
            "another model; `workbench list models` names their architectures."
        )
