"""What chosen hooks give on the inputs at hand."""

from __future__ import annotations

from typing import Any

from workbench.core.errors import NeverFiredError
from workbench.core.hooked import HookedModel, HookInfo


def trace_hooks(model: HookedModel, inputs: Any, hook: str) -> list[HookInfo]:
    """Axes and shapes, on these inputs, of the hooks that a name or a glob picks; all of them must fire."""
    infos = model.trace(inputs)
    names = model.select(hook)
    for name in names:
        if name not in infos:
            raise NeverFiredError(
                f"Hook {name!r} never fires on these inputs. Choose another, such as {next(iter(infos))!r}."
            )
    return [infos[name] for name in names]
