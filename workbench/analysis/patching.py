"""Activation patching: where the difference between two inputs lives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from workbench.analysis.contrast import check_same_shape, metric_gap
from workbench.analysis.firing import trace_hooks
from workbench.core.axes import unit_axis
from workbench.core.errors import InputError
from workbench.core.hooked import HookedModel, HookInfo
from workbench.core.interventions import patch
from workbench.core.metrics import Metric
from workbench.core.progress import Progress, silent
from workbench.core.registry import ANALYSES
from workbench.core.sites import Site
from workbench.core.stages import sweep

Direction = Literal["denoise", "noise"]


@dataclass(frozen=True)
class Patching:
    """Share of the clean behaviour in the patched run: 0 is the corrupted run, 1 the clean one.

    `effect` is (patched - corrupted) / (clean - corrupted) of the metric's batch means, for each of `hooks` and each
    index on `axes`; `patched`, `clean` and `corrupted` are the metric itself for each example.
    """

    hooks: tuple[str, ...]
    axes: tuple[str, ...]
    direction: str
    effect: Float[Tensor, "layer *index"]
    patched: Float[Tensor, "layer *index batch"]
    clean: Float[Tensor, " batch"]
    corrupted: Float[Tensor, " batch"]


@ANALYSES.register("patching")
@torch.no_grad()
def patch_activations(
    model: HookedModel,
    inputs: Any,
    corrupted: Any,
    hook: str,
    metric: Metric,
    axes: tuple[str, ...] = (),
    direction: Direction = "denoise",
    progress: Progress = silent,
) -> Patching:
    """How much of the clean behaviour each part carries, by copying it between two runs (Meng et al. 2022).

    `hook` may be a glob such as "blocks.*.hook_resid_pre": one layer for each. `axes` are those whose every index is
    patched by itself: by default that of the units, and the position in a language model. `direction` is "denoise",
    clean activations into the corrupted run (what suffices), or "noise", corrupted ones into the clean run (what is
    needed). Costs three forward passes and, for each part, what follows it.
    """
    check_same_shape(inputs, corrupted)
    receiver, donor = (corrupted, inputs) if direction == "denoise" else (inputs, corrupted)
    with model.lock:
        clean, base = metric(model(inputs)), metric(model(corrupted))
        gap = metric_gap(clean, base)
        infos = trace_hooks(model, inputs, hook)
        axes = axes or choose_axes(infos[0])
        grid = require_shared_grid(infos, axes)
        given = model.cache(donor, [info.name for info in infos])
        conditions = [[patch(site, given[site.hook])] for info in infos for site in iterate_sites(info, axes)]
        values = sweep(model, receiver, conditions, metric, progress=progress)
    effect = (values.mean(dim=1) - base.mean()) / gap
    names = tuple(info.name for info in infos)
    by_part = values.reshape(len(infos), *grid, len(clean))
    return Patching(names, axes, direction, effect.reshape(len(infos), *grid), by_part, clean, base)


def choose_axes(info: HookInfo) -> tuple[str, ...]:
    """The axis of the units (a residual stream has none worth naming) and the position, if there is one."""
    units = unit_axis(info.axes)
    axes = tuple(
        axis for axis in (units, "pos") if axis in info.axes and not (axis == "d_model" and "pos" in info.axes)
    )
    if not axes:
        raise InputError(f"No axis of {info.name} holds units. Name one: {', '.join(info.axes[1:]) or 'none is left'}.")
    return axes


def require_shared_grid(infos: list[HookInfo], axes: tuple[str, ...]) -> tuple[int, ...]:
    """Length of each axis, the same at every hook."""
    if "batch" in axes or len(set(axes)) < len(axes):
        raise InputError(f"Axes {axes} cannot be patched one by one: name each axis once, and not the batch.")
    grid = tuple(infos[0].size(axis) for axis in axes)
    for info in infos:
        if (other := tuple(info.size(axis) for axis in axes)) != grid:
            raise InputError(
                f"{infos[0].name} has {grid} entries on {axes} and {info.name} has {other}, so they do not make one "
                "table. Patch them apart, or name axes that they share."
            )
    return grid


def iterate_sites(info: HookInfo, axes: tuple[str, ...]) -> Iterator[Site]:
    """One site for each index on the axes, the last axis running fastest."""
    for index in product(*(range(info.size(axis)) for axis in axes)):
        yield Site(info.name, dict(zip(axes, index, strict=True)))
