"""Activation patching: share of the difference between two inputs that each activation carries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from workbench.analysis.contrast import check_same_shape, metric_gap
from workbench.analysis.hook_shapes import trace_hooks
from workbench.core.axes import unit_axis
from workbench.core.coordinates import Axis, Result, View
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
class Patching(Result):
    """Share of the clean behaviour in the patched run: 0 is the corrupted run, 1 the clean one.

    `effect` is (patched - corrupted) / (clean - corrupted), from the metric's batch means, for each of `hooks` and each
    index on `axes`. `patched`, `clean` and `corrupted` are the metric for each example.
    """

    view: ClassVar[View] = View(
        main="effect", rows="patched", quantity="share of the clean behaviour",
        title="Patching ({direction}) at {hooks:span}",
    )  # fmt: skip

    hooks: tuple[str, ...]
    axes: tuple[str, ...]
    direction: str
    effect: Float[Tensor, "layer *index"]
    patched: Float[Tensor, "layer *index batch"]
    clean: Float[Tensor, " batch"]
    corrupted: Float[Tensor, " batch"]

    def coordinates(self) -> Mapping[str, Axis | tuple[str, ...]]:
        """Name the hooks and the axes inside them."""
        return {"layer": Axis("hook", self.hooks), "index": self.axes}


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
    """Copy activations between a clean and a corrupted run and measure how much of the clean behaviour they carry.

    Args:
        model: Any model.
        inputs: Clean inputs, batch first.
        corrupted: Inputs of the same shape that change the answer.
        hook: Name or glob, such as "blocks.*.hook_resid_pre"; one layer per hook.
        metric: Returns one number per example from the model's output.
        axes: Axes whose indices are patched one by one. By default the units, and the position in a language model.
        direction: "denoise" patches clean activations into the corrupted run (sufficiency), "noise" corrupted ones into
            the clean run (necessity).
        progress: Called with the number of finished conditions and their total.

    Returns:
        A `Patching`: the effect of each patch as a share of the difference, and the metric for each example.

    Raises:
        ShapeError: If `corrupted` differs from `inputs` in shape.
        InputError: If clean and corrupted inputs give the same metric, the hooks do not share `axes`, or `axes` are
            not given and the hooks have no units.

    Cost: 3 forward passes, and for each patch the part of the network after the hook.

    References: Meng et al. 2022.

    Example:
        >>> found = workbench.run("patching", model="modular_addition_gpt", hook="blocks.*.hook_attn_out")
        >>> found.axes, found.effect.shape
        (('pos',), torch.Size([1, 3]))
        >>> found.effect.argmax()
        tensor(2)
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
    """Return the axis of the units and the position. Entries of a residual stream are not units."""
    units = unit_axis(info.axes)
    axes = tuple(
        axis for axis in (units, "pos") if axis in info.axes and not (axis == "d_model" and "pos" in info.axes)
    )
    if not axes:
        raise InputError(
            f"No axis of {info.name} holds units. Give one of: {', '.join(info.axes[1:]) or 'none is left'}."
        )
    return axes


def require_shared_grid(infos: list[HookInfo], axes: tuple[str, ...]) -> tuple[int, ...]:
    """Return the lengths of the axes, which must be the same at every hook."""
    if "batch" in axes or len(set(axes)) < len(axes):
        raise InputError(f"Axes {axes} cannot be patched. Give each axis once, and not the batch.")
    grid = tuple(infos[0].size(axis) for axis in axes)
    for info in infos:
        if (other := tuple(info.size(axis) for axis in axes)) != grid:
            raise InputError(
                f"{infos[0].name} has {grid} entries on {axes}, but {info.name} has {other}. Patch them separately, or "
                "give axes that they share."
            )
    return grid


def iterate_sites(info: HookInfo, axes: tuple[str, ...]) -> Iterator[Site]:
    """Yield one site per index on the axes, the last axis fastest."""
    for index in product(*(range(info.size(axis)) for axis in axes)):
        yield Site(info.name, dict(zip(axes, index, strict=True)))
