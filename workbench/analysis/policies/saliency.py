"""Saliency of observations: gradient of a metric, and its change when parts are removed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from workbench.core.coordinates import Result, View
from workbench.core.errors import InputError, ShapeError
from workbench.core.fitting import needs_axes
from workbench.core.hooked import HookedModel
from workbench.core.metrics import Metric
from workbench.core.ranges import NonNegativeInt
from workbench.core.registry import ANALYSES

Observations = Float[Tensor, "batch *observation"]


@dataclass(frozen=True)
class Saliency(Result):
    """Two saliency maps per observation, in units of the metric.

    `gradient` is d metric / d entry. `perturbation` is metric(observation) - metric(observation with the part around
    that entry replaced).
    """

    view: ClassVar[View] = View(
        main="perturbation", quantity="metric", title="Contribution of each entry of the observation to the metric"
    )

    gradient: Float[Tensor, "batch *observation"]
    perturbation: Float[Tensor, "batch *observation"]

    def coordinates(self) -> Mapping[str, tuple[str, ...]]:
        """Name the axes of the observations: one of entries, or those of a grid."""
        return {"observation": ("entry",) if self.gradient.ndim == 2 else ("channel", "row", "column")}


def compute_saliency(
    model: HookedModel,
    observations: Observations,
    metric: Metric,
    reference: Float[Tensor, " *observation"] | None = None,
    radius: int = 0,
) -> Saliency:
    """Compute both saliency maps.

    Args:
        model: A policy.
        observations: Observations, batch first.
        metric: Returns one number per example. It must accept any batch with the same examples.
        reference: Values of removed parts. By default the mean of the observations.
        radius: On grids (channel, row, column), a part is a square of side 2 * `radius` + 1 in one channel.

    Cost: 1 forward and backward pass, and 1 forward pass per entry of an observation.
    """
    removed = perturbation_saliency(model, observations, metric, reference, radius)
    return Saliency(gradient_saliency(model, observations, metric), removed)


@ANALYSES.register("saliency")
@needs_axes("action")
def policy_saliency(model: HookedModel, inputs: Observations, metric: Metric, radius: NonNegativeInt = 0) -> Saliency:
    """Compute gradient and perturbation saliency of each entry of each observation.

    Args:
        model: A policy.
        inputs: Observations, batch first. Removed parts are replaced by their mean.
        metric: Returns one number per example from the model's output.
        radius: On grids, a part is a square of side 2 * `radius` + 1 in one channel.

    Returns:
        A `Saliency`.

    Raises:
        InputError: If the metric has no gradient, or `radius` is given for observations that are not grids.

    Cost: 1 forward and backward pass, and 1 forward pass per entry of an observation.

    References: Simonyan et al. 2014 (gradient); Greydanus et al. 2018 (perturbation).

    Example:
        >>> found = workbench.run("saliency", model="cartpole_ppo", metric="logit_difference")
        >>> found.gradient.shape, found.gradient.abs().mean(dim=0).argmax()  # the pole's angle
        (torch.Size([16, 4]), tensor(2))
    """
    with model.lock:
        return compute_saliency(model, inputs, metric, radius=radius)


@torch.enable_grad()
def gradient_saliency(model: HookedModel, observations: Observations, metric: Metric) -> Observations:
    """Compute the gradient of each observation's metric (Simonyan et al. 2014)."""
    leaf = observations.detach().clone().requires_grad_()
    value = metric(model(leaf))
    if not value.requires_grad:
        raise InputError("This metric has no gradient. Choose a differentiable one, such as logit_difference.")
    return torch.autograd.grad(value.sum(), leaf)[0]


@torch.no_grad()
def perturbation_saliency(
    model: HookedModel,
    observations: Observations,
    metric: Metric,
    reference: Float[Tensor, " *observation"] | None = None,
    radius: int = 0,
) -> Observations:
    """Compute the change of the metric when each part is replaced by the reference (after Greydanus et al. 2018)."""
    other = observations.mean(dim=0) if reference is None else reference
    if other.shape != observations.shape[1:]:
        raise ShapeError(f"Expected a reference of shape {tuple(observations.shape[1:])}, got {tuple(other.shape)}.")
    if radius and observations.ndim != 4:
        raise InputError("radius applies only to grids (channel, row, column). Use 0 for vectors.")
    intact, found = metric(model(observations)), torch.zeros_like(observations)
    for place in torch.ones(observations.shape[1:]).nonzero().tolist():
        (*channel,) = place[:1]
        area = tuple(slice(max(0, i - radius), i + radius + 1) for i in place[1:])
        part = (slice(None), *channel, *area)
        changed = observations.clone()
        changed[part] = other[part[1:]]
        found[(slice(None), *place)] = intact - metric(model(changed))
    return found
