"""Axes and shapes of the hooks that fire on given inputs."""

from __future__ import annotations

from typing import Any

from workbench.core.axes import unit_axis
from workbench.core.errors import InputError, NeverFiredError
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


def trace_hook(model: HookedModel, inputs: Any, hook: str) -> HookInfo:
    """Return axes and shape of the one hook that a name or glob matches; raises InputError if it matches several."""
    infos = trace_hooks(model, inputs, hook)
    if len(infos) > 1:
        raise InputError(f"{hook!r} matches {len(infos)} hooks. Choose one, such as {infos[0].name!r}.")
    return infos[0]


def require_unit_axis(model: HookedModel, info: HookInfo) -> str:
    """Return the axis of a hook's units; raises InputError, naming another hook, if there is none."""
    axis = unit_axis(info.axes)
    if axis is None:
        others = [name for name, point in model.hook_dict.items() if unit_axis(point.axes)]
        way_out = f"a hook with units, such as {others[0]!r}" if others else "another model"
        raise InputError(f"{info.name} has axes {info.axes}, none of which holds units. Choose {way_out}.")
    return axis


def require_batch_first(info: HookInfo) -> HookInfo:
    """Return the hook, or raise InputError if the first axis of its activation is not the batch."""
    if info.axes[:1] != ("batch",):
        raise InputError(
            f"{info.name} has axes {info.axes}, so its first axis is not the batch, which this analysis goes through "
            "example by example. Choose another hook, or use ablation or patching, which take any."
        )
    return info
