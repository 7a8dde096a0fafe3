"""Ablation: change of the metric when a unit is removed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from workbench.analysis.hook_shapes import trace_hook
from workbench.core.axes import unit_axis
from workbench.core.coordinates import Result, View
from workbench.core.errors import InputError
from workbench.core.hooked import HookedModel, HookInfo
from workbench.core.interventions import Intervention, mean, resample, zero
from workbench.core.metrics import Metric
from workbench.core.progress import Progress, silent
from workbench.core.random import generator
from workbench.core.registry import ANALYSES
from workbench.core.sites import Site
from workbench.core.stages import sweep

Method = Literal["zero", "mean", "resample"]


@dataclass(frozen=True)
class Ablation(Result):
    """Effect of removing each entry of `axis` at `hook`: metric(ablated) - metric(intact), in the metric's units."""

    view: ClassVar[View] = View(
        main="effect", quantity="change of the metric", ranked=True, title="{method:title} ablation at {hook}",
        sentence="{method:title} ablation of {effect:site} changes the metric most, by {effect:top} from {baseline} "
        "{effect:over}{effect:clear}{effect:caution}.",
    )  # fmt: skip

    hook: str
    axis: str
    method: str
    baseline: Float[Tensor, " batch"]
    effect: Float[Tensor, "unit batch"]


@ANALYSES.register("ablation")
@torch.no_grad()
def ablate(
    model: HookedModel,
    inputs: Any,
    hook: str,
    metric: Metric,
    axis: str | None = None,
    method: Method = "zero",
    seed: int = 0,
    progress: Progress = silent,
) -> Ablation:
    """Remove each unit of an activation in turn and measure the effect on the metric.

    Args:
        model: Any model.
        inputs: Inputs, batch first.
        hook: Name of one hook, such as "blocks.0.hook_post".
        metric: Returns one number per example from the model's output.
        axis: Axis whose entries are removed in turn; any axis but the batch. By default the axis of the units.
        method: Value of a removed unit: "zero", "mean" (over the inputs) or "resample" (the unit's activation on
            another input, drawn at random).
        seed: Seeds the draws of "resample".
        progress: Called with the number of finished conditions and their total.

    Returns:
        An `Ablation`: the intact metric and the effect of each unit on each example, in units of the metric.

    Raises:
        InputError: If `hook` matches several hooks, or `axis` is the batch or not an axis of the hook.

    Cost: 1 forward pass, 1 more for "mean" and "resample", and for each unit the part of the network after the hook.

    References: Morcos et al. 2018.

    Example:
        >>> ablation = workbench.run("ablation", model="digits_mlp", hook="blocks.0.hook_post", inputs="test:0:16")
        >>> ablation.effect.shape
        torch.Size([64, 16])
        >>> ablation.effect.mean(dim=1).argmin()
        tensor(60)
    """
    with model.lock:
        info = trace_hook(model, inputs, hook)
        axis = choose_axis(info, axis)
        reference = torch.empty(0) if method == "zero" else model.cache(inputs, info.name)[info.name]
        random = generator(seed, "ablation", info.name)
        sites = [Site(info.name, {axis: i}) for i in range(info.size(axis))]
        conditions = [[]] + [[make_removal(site, method, reference, random)] for site in sites]
        values = sweep(model, inputs, conditions, metric, progress=progress)
    return Ablation(info.name, axis, method, values[0], values[1:] - values[0])


def make_removal(site: Site, method: Method, reference: Tensor, random: torch.Generator) -> Intervention:
    """Return the intervention that removes a site. `reference` holds activations for "mean" and "resample"."""
    if method == "zero":
        return zero(site)
    return mean(site, reference) if method == "mean" else resample(site, reference, random)


def choose_axis(info: HookInfo, axis: str | None) -> str:
    """Return the given axis, or the axis of the units; raises an `InputError` for the batch."""
    others = [name for name in info.axes if name != "batch"]
    axis = axis or unit_axis(info.axes)
    if axis is None or axis == "batch":
        way_out = f"Choose one of {', '.join(others)}." if others else "Choose another hook."
        reason = "is the batch, not units" if axis else "was not given, and none of its axes holds units"
        raise InputError(f"The axis to ablate at {info.name} {reason}. {way_out}")
    info.size(axis)  # raises if the hook has no such axis
    return axis
