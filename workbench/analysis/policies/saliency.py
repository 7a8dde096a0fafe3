"""What in an observation matters to a metric: by its gradient, and by taking parts of the observation away."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from workbench.core.errors import InputError, ShapeError
from workbench.core.fitting import needs_axes
from workbench.core.hooked import HookedModel
from workbench.core.metrics import Metric
from workbench.core.registry import ANALYSES

Observations = Float[Tensor, "batch *observation"]


@dataclass(frozen=True)
class Saliency:
    """One number for each entry of each observation, in the metric's units.

    `gradient` is d metric / d entry. `perturbation` is metric(observation) - metric(the part about that entry
    replaced): what the part adds to the metric.
    """

    gradient: Float[Tensor, "batch *observation"]
    perturbation: Float[Tensor, "batch *observation"]


def compute_saliency(
    model: HookedModel,
    observations: Observations,
    metric: Metric,
    reference: Float[Tensor, " *observation"] | None = None,
    radius: int = 0,
) -> Saliency:
    """Both kinds for each observation. `metric` must tell the examples apart by place in a batch of the same size.

    Parts are replaced by the `reference` (default: the mean of the observations). On grids (channel, row, column) a
    part is a square `radius` places each way, one channel at a time. Costs one forward and backward pass and a
    forward pass for each entry.
    """
    removed = perturbation_saliency(model, observations, metric, reference, radius)
    return Saliency(gradient_saliency(model, observations, metric), removed)


@ANALYSES.register("saliency")
@needs_axes("action")
def policy_saliency(model: HookedModel, inputs: Observations, metric: Metric, radius: int = 0) -> Saliency:
    """What each entry of each observation does to the metric: its gradient there, and what taking it away costs.

    On grids a part taken away is a square `radius` places each way. What is taken away becomes its mean over the
    inputs. Costs one forward and backward pass and a forward pass for each entry.
    """
    with model.lock:
        return compute_saliency(model, inputs, metric, radius=radius)


@torch.enable_grad()
def gradient_saliency(model: HookedModel, observations: Observations, metric: Metric) -> Observations:
    """The derivative of each observation's metric along its entries (Simonyan et al. 2014)."""
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
    """What each part adds to the metric, by replacing it with the reference (after Greydanus et al. 2018)."""
    other = observations.mean(dim=0) if reference is None else reference
    if other.shape != observations.shape[1:]:
        raise ShapeError(f"A reference of shape {tuple(other.shape)} does not fit {tuple(observations.shape)}.")
    if radius and observations.ndim != 4:
        raise InputError("A radius is for grids (channel, row, column); leave it 0 for rows of numbers.")
    intact, found = metric(model(observations)), torch.zeros_like(observations)
    for place in torch.ones(observations.shape[1:]).nonzero().tolist():
        (*channel,) = place[:1]
        area = tuple(slice(max(0, i - radius), i + radius + 1) for i in place[1:])
        part = (slice(None), *channel, *area)
        changed = observations.clone()
        changed[part] = other[part[1:]]
        found[(slice(None), *place)] = intact - metric(model(changed))
    return found
