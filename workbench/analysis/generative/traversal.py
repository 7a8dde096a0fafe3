"""Latent traversal: effect of moving one unit over its range on a later activation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, ClassVar

import torch
from annotated_types import Ge
from jaxtyping import Float
from torch import Tensor

from workbench.analysis.features.target import FIRST
from workbench.analysis.hook_shapes import require_batch_first, require_unit_axis, trace_hook, trace_hooks
from workbench.core.axes import unit_axis
from workbench.core.coordinates import Axis, Result, View
from workbench.core.errors import InputError, UnknownNameError
from workbench.core.hooked import HookedModel, HookInfo
from workbench.core.progress import Progress, silent
from workbench.core.ranges import Indices, PositiveFloat
from workbench.core.registry import ANALYSES
from workbench.core.sites import Site

IMAGE = "hook_image"


@dataclass(frozen=True)
class Traversal(Result):
    """Activation of the first example at `seen` as each unit at `hook` is moved.

    `offset` is in the unit's standard deviations from its mean over the inputs; `value` is the mean of the values that
    are set. `distance` is the Euclidean distance of the response from that at the middle of the range.
    """

    view: ClassVar[View] = View(main="distance", rows="value")

    hook: str
    axis: str
    units: tuple[int, ...]
    offset: Float[Tensor, " step"]
    value: Float[Tensor, "unit step"]
    seen: str
    seen_axes: tuple[str, ...]
    response: Float[Tensor, "unit step *shape"]
    distance: Float[Tensor, "unit step"]

    def coordinates(self) -> Mapping[str, Axis | tuple[str, ...]]:
        """Name the moves by their offsets, and the axes of the responses."""
        return {"step": Axis("offset", self.offset.tolist()), "shape": self.seen_axes}


@ANALYSES.register("traversal")
@torch.no_grad()
def traverse(
    model: HookedModel,
    inputs: Any,
    hook: str,
    units: Indices | None = None,
    seen: str = "",
    reach: PositiveFloat = 3.0,
    steps: Annotated[int, Ge(2)] = 7,
    progress: Progress = silent,
) -> Traversal:
    """Move each unit of a hook over its range on the first example, and record the activation at a later hook.

    Args:
        model: Any model.
        inputs: At least two inputs, which give mean and standard deviation of the units.
        hook: Name of one hook with units.
        units: Indices on the axis of the units. By default the first 16.
        seen: Hook to record. By default the generated image, else the last hook with units.
        reach: Largest offset, in the unit's standard deviations from its mean.
        steps: Number of offsets from -`reach` to `reach`.
        progress: Called with the number of finished units and their total.

    Returns:
        A `Traversal`.

    Raises:
        ConfigError: If `steps` is less than 2 or `reach` is not positive.
        InputError: If `hook` has no units or matches several hooks, or there is only one input.
        UnknownNameError: If `seen` fires before `hook`.

    Cost: 1 forward pass on the inputs, and for each unit 1 on `steps` copies of the first example.

    Example:
        >>> found = workbench.run("traversal", model="shapes_gan", hook="hook_input", inputs="sample:0:8", units=(0, 1))
        >>> found.seen, found.response.shape
        ('generator.hook_image', torch.Size([2, 7, 3, 24, 24]))
    """
    model.require_independent_rows("A traversal")
    with model.lock:
        info = trace_hook(model, inputs, hook)
        axis = require_unit_axis(model, info)
        require_batch_first(info)
        where = model.trace(inputs)[choose_seen_hook(model, inputs, info, seen)]
        chosen = tuple(range(min(FIRST, info.size(axis)))) if units is None else units
        Site(info.name, {axis: chosen}).check({axis: info.size(axis)})
        x = model.cache(inputs, info.name, copy=True)[info.name]
        if len(x) < 2:
            raise InputError("A traversal needs at least 2 inputs for the spread of a unit, got 1. Give more inputs.")
        copies = model.take_rows(inputs, torch.zeros(steps, dtype=torch.long))
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
    distance = change.reshape(len(chosen), steps, -1).norm(dim=2)  # the number of axes varies
    return Traversal(
        info.name, axis, chosen, offset, torch.stack(set_to), where.name, where.axes[1:], responses, distance
    )


def offset_values(unit: Float[Tensor, "batch *place"], offset: Float[Tensor, " step"]) -> Float[Tensor, "step *place"]:
    """Return a unit's mean over the batch plus `offset` standard deviations."""
    steps = offset.reshape(-1, *[1] * (unit.ndim - 1))
    return unit.mean(dim=0) + steps * unit.std(dim=0, correction=0)


def replace_unit(dim: int, unit: int, value: Tensor, x: Tensor) -> Tensor:
    """Return the activation with one unit replaced."""
    y = x.clone()
    y.select(dim, unit).copy_(value)
    return y


def choose_seen_hook(model: HookedModel, inputs: Any, moved_at: HookInfo, seen: str) -> str:
    """Return the hook to record, which must not fire before the hook that is moved."""
    after = [i for i in model.trace(inputs).values() if i.order >= moved_at.order and not i.on_request]
    later = [info.name for info in after if info.axes[:1] == ("batch",)]
    if not seen:
        images = [name for name in later if name.rpartition(".")[2] == IMAGE]
        of_units = [name for name in later if unit_axis(model.hook_dict[name].axes)]
        return (images or of_units or [moved_at.name])[-1]
    name = trace_hooks(model, inputs, seen)[0].name
    if name not in later and name != moved_at.name:
        raise UnknownNameError("hook", name, later, where=f" from {moved_at.name} on")
    return name
