"""Target of activation maximization: entries along one axis of an activation, reduced to one number per input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from workbench.analysis.features.token_rows import SINGLE_TENSOR, JoinedPair, SingleTensor
from workbench.analysis.hook_shapes import require_batch_first, require_unit_axis, trace_hooks
from workbench.core.errors import InputError
from workbench.core.hooked import HookedModel, HookInfo
from workbench.core.sites import Index, Site

Objective = Literal["channel", "neuron", "fluent"]
FIRST = 16
"""Number of units if none are given."""


@dataclass(frozen=True)
class TargetReading:
    """Activation of each row's unit, and the objective to ascend, which differs while the unit is silent."""

    value: Float[Tensor, " row"]
    drive: Float[Tensor, " row"]


@dataclass(frozen=True)
class Target:
    """Entries of `axis` at a site, averaged over the positions that the site leaves open."""

    model: HookedModel
    site: Site
    axis: str
    before: str | None = None
    """Hook before the ReLU, whose largest entry is the objective for silent units."""
    rows: SingleTensor | JoinedPair = SINGLE_TENSOR
    """Conversion of the rows of a tensor to model inputs."""

    def values(self, inputs: Shaped[Tensor, "batch *input"]) -> Float[Tensor, "batch unit"]:
        """Compute the activation of every unit for each input. Costs the forward pass up to the hook."""
        hook = self.site.hook
        return masked_mean(self.select(hook, self.model.cache(self.rows.inputs(inputs), hook, copy=True)[hook]))

    def read(self, inputs: Shaped[Tensor, "row *input"], units: Int[Tensor, " row"]) -> TargetReading:
        """Compute the activation of one unit per input."""
        hook, before = self.site.hook, self.before
        seen = self.model.cache(self.rows.inputs(inputs), [hook, before] if before else [hook], copy=True)
        rows = torch.arange(len(units), device=units.device)
        value = masked_mean(self.select(hook, seen[hook])[rows, units])
        if before is None:
            return TargetReading(value.detach(), value)
        largest = self.select(before, seen[before])[rows, units].amax(dim=1)
        return TargetReading(value.detach(), torch.where(value.detach() > 0, value, largest))

    def select(self, hook: str, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch unit place"]:
        """Select the site from an activation at the target or before it, with units on the second axis."""
        axes = self.model.hook_dict[hook].axes
        return move_units_second(self.site.select(x, axes), axes, self.axis)


def make_target(
    model: HookedModel,
    reference: Shaped[Tensor, "batch *input"],
    hook: str,
    objective: Objective,
    rows: SingleTensor | JoinedPair = SINGLE_TENSOR,
) -> Target:
    """Resolve a hook or site to a target; the objective chooses the positions that the site leaves open."""
    site, inputs = Site.parse(hook).resolve(model), rows.inputs(reference)
    info = require_batch_first(trace_hooks(model, inputs, site.hook)[0])
    if "batch" in site.index:
        raise InputError(f"{hook} selects examples, but the inputs are what is optimized. Remove the index on 'batch'.")
    axis = require_unit_axis(model, info)
    index = center_index(info) if objective == "neuron" else {}
    index |= {name: entry for name, entry in site.index.items() if name != axis}
    place = Site(info.name, index)
    place.check(dict(zip(info.axes, info.shape, strict=True)))
    return Target(model, place, axis, find_silencer(model, inputs, info, axis, bool(index)), rows)


def choose_units(target: Target, hook: str, units: tuple[int, ...] | None, n_units: int) -> tuple[int, ...]:
    """Return the units that are given, else those of the site, else the first `FIRST`."""
    named = Site.parse(hook).index.get(target.axis)
    if units is None:
        if named is None:
            return tuple(range(min(FIRST, n_units)))
        Site(target.site.hook, {target.axis: named}).check({target.axis: n_units})
        chosen = torch.arange(n_units)[named if isinstance(named, slice) else torch.tensor(named)]
        return tuple(chosen.flatten().tolist())
    Site(target.site.hook, {target.axis: units}).check({target.axis: n_units})
    return tuple(dict.fromkeys(unit % n_units for unit in units))


def center_index(info: HookInfo) -> dict[str, Index]:
    """Return the index of the centre of a map, or of the last position of a sequence."""
    centre: dict[str, Index] = {axis: info.size(axis) // 2 for axis in ("height", "width") if axis in info.axes}
    return centre | {axis: -1 for axis in ("pos", "query", "key", "source_pos", "target_pos") if axis in info.axes}


@torch.no_grad()
def find_silencer(model: HookedModel, inputs: Any, info: HookInfo, axis: str, placed: bool) -> str | None:
    """Find the hook just before the ReLU that leads to a hook, from their values.

    It is the nearest earlier hook with the same units and negative values whose positive part has, for each unit and
    input, the same maximum (ReLU, then possibly max pooling) or the same mean (ReLU, then average pooling). If
    `placed`, the shapes must be equal.
    """
    after = move_units_second(model.cache(inputs, info.name, copy=True)[info.name], info.axes, axis)
    if after.min() < 0 or (after > 0).all():
        return None
    for other in reversed([i for i in model.trace(inputs).values() if i.order < info.order and not i.on_request]):
        if axis not in other.axes or other.size(axis) != info.size(axis) or other.stage < info.stage - 1:
            continue
        if other.axes[:1] != ("batch",):
            continue
        if placed and (other.axes, other.shape) != (info.axes, info.shape):
            continue
        before = move_units_second(model.cache(inputs, other.name, copy=True)[other.name], other.axes, axis)
        same_maximum = torch.equal(before.relu().amax(dim=2), after.amax(dim=2))
        if before.min() < 0 and (same_maximum or torch.allclose(before.relu().mean(dim=2), after.mean(dim=2))):
            return other.name
    return None


def masked_mean(x: Float[Tensor, "*row place"]) -> Float[Tensor, "*row"]:
    """Average over positions, ignoring masked entries (attention scores of later positions are minus infinity)."""
    open_places = x.isfinite()
    return torch.where(open_places, x, 0.0).sum(dim=-1) / open_places.sum(dim=-1).clamp(min=1)


def move_units_second(
    x: Float[Tensor, "batch *shape"], axes: tuple[str, ...], axis: str
) -> Float[Tensor, "batch unit place"]:
    """Reshape an activation to (batch, unit, everything else)."""
    moved = x.movedim(axes.index(axis), 1)
    return moved.reshape(*moved.shape[:2], -1)  # the number of axes varies
