"""Traversal: one unit moved over its range, and what the network makes of it further on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils._pytree import tree_map

from workbench.analysis.features.target import FIRST
from workbench.analysis.firing import trace_hooks
from workbench.core.axes import unit_axis
from workbench.core.errors import ConfigError, InputError, UnknownNameError
from workbench.core.hooked import HookedModel, HookInfo
from workbench.core.progress import Progress, silent
from workbench.core.registry import ANALYSES
from workbench.core.sites import Site

IMAGE = "hook_image"


@dataclass(frozen=True)
class Traversal:
    """What the first example's activation at `seen` becomes as each unit at `hook` is moved.

    `offset` is in the unit's standard deviations from its mean over the inputs, `value` the mean of what it is set to.
    `distance` is how far the response lies from that at the middle of the range (Euclidean).
    """

    hook: str
    axis: str
    units: tuple[int, ...]
    offset: Float[Tensor, " step"]
    value: Float[Tensor, "unit step"]
    seen: str
    seen_axes: tuple[str, ...]
    response: Float[Tensor, "unit step *shape"]
    distance: Float[Tensor, "unit step"]


@ANALYSES.register("traversal")
@torch.no_grad()
def traverse(
    model: HookedModel,
    inputs: Any,
    hook: str,
    units: tuple[int, ...] | None = None,
    seen: str = "",
    reach: float = 3.0,
    steps: int = 7,
    progress: Progress = silent,
) -> Traversal:
    """Each unit at `hook` moved over its range on the first example, and the activation it leads to at another hook.

    `units` are numbers on the axis of the units: by default the first 16. `seen` is the hook to look at: by default
    the image that the network makes, else the last that fires and holds units. A unit goes in `steps` steps from
    `reach` standard deviations below its mean over the inputs to as many above, entry by entry where it has several.
    Costs a forward pass over the inputs, and for each unit one over `steps` copies of the first example.
    """
    if steps < 2 or reach <= 0:
        raise ConfigError(f"steps={steps} and reach={reach:g} move nothing. Take 2 steps or more and a positive reach.")
    with model.lock:
        info, axis = resolve_units(model, inputs, hook)
        where = model.trace(inputs)[choose_seen_hook(model, inputs, info, seen)]
        chosen = tuple(range(min(FIRST, info.size(axis)))) if units is None else units
        Site(info.name, {axis: chosen}).check({axis: info.size(axis)})
        x = model.cache(inputs, info.name, copy=True)[info.name]
        if len(x) < 2:
            raise InputError("One example has no spread to move a unit over. Give two or more; the first is shown.")
        copies = tree_map(lambda y: y[:1].expand(steps, *y.shape[1:]) if isinstance(y, Tensor) else y, inputs)
        offset = torch.linspace(-reach, reach, steps)
        dim, set_to, response = info.axes.index(axis), [], []
        for done, unit in enumerate(chosen):
            value = offset_values(x.select(dim, unit), offset.to(x))
            set_to.append(value.reshape(steps, -1).mean(dim=1))  # entries of all places
            with model.edited({info.name: partial(replace_unit, dim, unit, value)}):
                response.append(model.cache(copies, where.name, copy=True)[where.name])
            progress(done + 1, len(chosen))
    responses = torch.stack(response)
    change = responses - responses[:, steps // 2, None]
    distance = change.reshape(len(chosen), steps, -1).norm(dim=2)  # over however many axes there are
    told = (info.name, axis, chosen, offset, torch.stack(set_to))
    return Traversal(*told, where.name, where.axes[1:], responses, distance)


def resolve_units(model: HookedModel, inputs: Any, hook: str) -> tuple[HookInfo, str]:
    """The one hook that is named, and the axis on which its units lie."""
    infos = trace_hooks(model, inputs, hook)
    if len(infos) > 1:
        raise InputError(f"{hook!r} picks {len(infos)} hooks. A traversal takes one, such as {infos[0].name!r}.")
    axis = unit_axis(infos[0].axes)
    if axis is None:
        raise InputError(f"{infos[0].name} has axes {infos[0].axes}, none of which holds units to move.")
    return infos[0], axis


def offset_values(unit: Float[Tensor, "batch *place"], offset: Float[Tensor, " step"]) -> Float[Tensor, "step *place"]:
    """A unit's mean over the batch and so many of its standard deviations more."""
    steps = offset.reshape(-1, *[1] * (unit.ndim - 1))
    return unit.mean(dim=0) + steps * unit.std(dim=0, correction=0)


def replace_unit(dim: int, unit: int, value: Tensor, x: Tensor) -> Tensor:
    """An activation with one of its units set."""
    y = x.clone()
    y.select(dim, unit).copy_(value)
    return y


def choose_seen_hook(model: HookedModel, inputs: Any, moved_at: HookInfo, seen: str) -> str:
    """The hook to look at, which must not fire before the one that is moved."""
    later = [i.name for i in model.trace(inputs).values() if i.order >= moved_at.order and not i.on_request]
    if not seen:
        images = [name for name in later if name.rpartition(".")[2] == IMAGE]
        of_units = [name for name in later if unit_axis(model.hook_dict[name].axes)]
        return (images or of_units or [moved_at.name])[-1]
    name = trace_hooks(model, inputs, seen)[0].name
    if name not in later and name != moved_at.name:
        raise UnknownNameError("hook", name, later, where=f" from {moved_at.name} on")
    return name
