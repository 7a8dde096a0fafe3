"""Integrated gradients (Sundararajan et al. 2017): the share of each unit in a difference of behaviour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from workbench.analysis.ablation import choose_axis
from workbench.analysis.contrast import check_same_shape
from workbench.analysis.hook_shapes import trace_hook
from workbench.core.hooked import HookedModel
from workbench.core.metrics import Metric
from workbench.core.progress import Progress, silent
from workbench.core.ranges import PositiveInt


@dataclass(frozen=True)
class IntegratedGradients:
    """Share of each unit, an entry of `axis`, in metric(clean) - metric(corrupted), in the metric's units.

    `gap` is the sum of a row's shares minus the difference that they explain: the error of the finite number of steps.
    """

    hook: str
    axis: str
    attribution: Float[Tensor, "unit batch"]
    gap: Float[Tensor, " batch"]


def integrate(
    model: HookedModel,
    inputs: Any,
    corrupted: Any,
    hook: str,
    metric: Metric,
    steps: PositiveInt = 16,
    progress: Progress = silent,
) -> IntegratedGradients:
    """Integrate the metric's gradient along the line from the corrupted to the clean activation.

    Args:
        model: Any model.
        inputs: Clean inputs, batch first.
        corrupted: Inputs at which the line begins.
        hook: Name of one hook, such as "hook_embed".
        metric: Returns one number per example from the model's output.
        steps: Number of points on the line, in the middles of equal intervals.
        progress: Called with the number of finished points and their total.

    Cost: `steps` forward and backward passes, and 4 forward passes.
    """
    check_same_shape(inputs, corrupted)
    with model.lock:
        info = trace_hook(model, inputs, hook)
        place = info.axes.index(choose_axis(info, None))
        clean, other = (model.cache(x, info.name)[info.name].detach() for x in (inputs, corrupted))
        total = torch.zeros_like(clean)
        for step in range(steps):
            point = torch.lerp(other, clean, (step + 0.5) / steps).requires_grad_()
            with torch.enable_grad(), model.edited({info.name: lambda _, point=point: point}):
                total += torch.autograd.grad(metric(model(inputs)).sum(), point)[0]
            progress(step + 1, steps)
        explained = metric(model(inputs)).detach()
        with model.edited({info.name: lambda _: other}):
            explained -= metric(model(inputs)).detach()
    shares = (total / steps * (clean - other)).movedim((place, 0), (0, 1))[..., None].flatten(start_dim=2)
    return IntegratedGradients(info.name, info.axes[place], shares.sum(dim=2), shares.sum(dim=(0, 2)) - explained)
