"""Axes and shapes of hooks on given inputs."""

from __future__ import annotations

from typing import Any

from workbench.core.errors import NeverFiredError
from workbench.core.hooked import HookedModel, HookInfo


def trace_hooks(model: HookedModel, inputs: Any, hook: str) -> list[HookInfo]:
    """Return axes and shapes of the hooks that a name or glob matches.

    Raises:
        NeverFiredError: If one of them does not fire on these inputs.
    """
    infos = model.trace(inputs)
    names = model.select(hook)
    for name in names:
        if name not in infos:
            raise NeverFiredError(
                f"Hook {name!r} never fires on these inputs. Choose another, such as {next(iter(infos))!r}."
            )
    return [infos[name] for name in names]
