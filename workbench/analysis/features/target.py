"""What a search makes large: entries along one axis of an activation, each read as one number per input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from workbench.analysis.features.token_rows import SINGLE_TENSOR, JoinedPair, SingleTensor
from workbench.analysis.firing import trace_hooks
from workbench.core.axes import unit_axis
from workbench.core.errors import InputError
from workbench.core.hooked import HookedModel, HookInfo
from workbench.core.sites import Index, Site

Objective = Literal["channel", "neuron", "fluent"]
FIRST = 16
"""Units that are taken when none are named."""


@dataclass(frozen=True)
class TargetReading:
    """What each row's unit does: its activation, and what to climb, which is another thing while it is silent."""

    value: Float[Tensor, " row"]
    drive: Float[Tensor, " row"]


@dataclass(frozen=True)
class Target:
    """The entries of `axis` at a site, averaged over the places that the site leaves open.

    `before` is the hook in front of the ReLU that silences a unit: its largest entry is what a silent unit climbs.
    `rows` says how the model reads a tensor of inputs.
    """

    model: HookedModel
    site: Site
    axis: str
    before: str | None = None
    rows: SingleTensor | JoinedPair = SINGLE_TENSOR

    def values(self, inputs: Shaped[Tensor, "batch *input"]) -> Float[Tensor, "batch unit"]:
        """The activation of every unit for each input. Costs the forward pass up to the hook."""
        hook = self.site.hook
        return masked_mean(self.placed(hook, self.model.cache(self.rows.inputs(inputs), hook, copy=True)[hook]))

    def read(self, inputs: Shaped[Tensor, "row *input"], units: Int[Tensor, " row"]) -> TargetReading:
        """The activation of one unit for each input."""
        hook, before = self.site.hook, self.before
        seen = self.model.cache(self.rows.inputs(inputs), [hook, before] if before else [hook], copy=True)
        rows = torch.arange(len(units), device=units.device)
        value = masked_mean(self.placed(hook, seen[hook])[rows, units])
        if before is None:
            return TargetReading(value.detach(), value)
        loudest = self.placed(before, seen[before])[rows, units].amax(dim=1)
        return TargetReading(value.detach(), torch.where(value.detach() > 0, value, loudest))

    def placed(self, hook: str, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch unit place"]:
        """The site's part of an activation at the target or before it, units second."""
        axes = self.model.hook_dict[hook].axes
        return move_units_second(self.site.select(x, axes), axes, self.axis)


def make_target(
    model: HookedModel,
    reference: Shaped[Tensor, "batch *input"],
    hook: str,
    objective: Objective,
    rows: SingleTensor | JoinedPair = SINGLE_TENSOR,
) -> Target:
    """The target that a hook or site names; the objective picks the places that the site leaves open."""
    site, inputs = Site.parse(hook).resolve(model), rows.inputs(reference)
    info = trace_hooks(model, inputs, site.hook)[0]
    if "batch" in site.index:
        raise InputError(f"{hook} picks examples, which a search makes itself. Leave out the index on 'batch'.")
    axis = unit_axis(info.axes)
    if axis is None:
        others = [name for name, point in model.hook_dict.items() if unit_axis(point.axes)]
        raise InputError(
            f"{info.name} has axes {info.axes}, none of which holds units to maximise. "
            f"Choose a hook that has one, such as {others[0]!r}."
        )
    index = center_index(info) if objective == "neuron" else {}
    index |= {name: entry for name, entry in site.index.items() if name != axis}
    place = Site(info.name, index)
    place.check(dict(zip(info.axes, info.shape, strict=True)))
    return Target(model, place, axis, find_silencer(model, inputs, info, axis, bool(index)), rows)


def choose_units(target: Target, hook: str, units: tuple[int, ...] | None, n_units: int) -> tuple[int, ...]:
    """The units asked for: by number, else by the site, else the first ones."""
    named = Site.parse(hook).index.get(target.axis)
    if units is None and named is None:
        return tuple(range(min(FIRST, n_units)))
    if units is None and named is not None:
        Site(target.site.hook, {target.axis: named}).check({target.axis: n_units})
        chosen = torch.arange(n_units)[named if isinstance(named, slice) else torch.tensor(named)]
        return tuple(chosen.flatten().tolist())
    if not units:
        raise InputError(f"An empty list of units of {target.site.hook} was given. Name at least one, or give None.")
    Site(target.site.hook, {target.axis: units}).check({target.axis: n_units})
    return tuple(dict.fromkeys(unit % n_units for unit in units))


def center_index(info: HookInfo) -> dict[str, Index]:
    """The centre of a map, the last position of a sequence."""
    centre: dict[str, Index] = {axis: info.size(axis) // 2 for axis in ("height", "width") if axis in info.axes}
    return centre | {axis: -1 for axis in ("pos", "query", "key", "source_pos", "target_pos") if axis in info.axes}


@torch.no_grad()
def find_silencer(model: HookedModel, inputs: Any, info: HookInfo, axis: str, placed: bool) -> str | None:
    """The hook just before the ReLU that leads to this one, found by its values and not by its name.

    It is the nearest earlier one that has the same units and negative values, and whose positive part has, for each
    unit and input, the same maximum (ReLU, then perhaps max pooling) or the same mean (ReLU, then averaging). When the
    places are `placed`, only one of the same shape will do.
    """
    after = move_units_second(model.cache(inputs, info.name, copy=True)[info.name], info.axes, axis)
    if after.min() < 0 or (after > 0).all():
        return None
    for other in reversed([i for i in model.trace(inputs).values() if i.order < info.order and not i.on_request]):
        if axis not in other.axes or other.size(axis) != info.size(axis) or other.stage < info.stage - 1:
            continue
        if placed and (other.axes, other.shape) != (info.axes, info.shape):
            continue
        before = move_units_second(model.cache(inputs, other.name, copy=True)[other.name], other.axes, axis)
        same_maximum = torch.equal(before.relu().amax(dim=2), after.amax(dim=2))
        if before.min() < 0 and (same_maximum or torch.allclose(before.relu().mean(dim=2), after.mean(dim=2))):
            return other.name
    return None


def masked_mean(x: Float[Tensor, "*row place"]) -> Float[Tensor, "*row"]:
    """The mean over places, without those that are masked (attention scores of later positions are minus infinity)."""
    open_places = x.isfinite()
    return torch.where(open_places, x, 0.0).sum(dim=-1) / open_places.sum(dim=-1).clamp(min=1)


def move_units_second(
    x: Float[Tensor, "batch *shape"], axes: tuple[str, ...], axis: str
) -> Float[Tensor, "batch unit place"]:
    """An activation with its units second and all other axes, as one, last."""
    moved = x.movedim(axes.index(axis), 1)
    return moved.reshape(*moved.shape[:2], -1)  # how many axes there are is known only here
