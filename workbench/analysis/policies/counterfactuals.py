"""Counterfactual states: the smallest change of an observation that changes a policy's action."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from workbench.core.coordinates import Result, View
from workbench.core.fitting import needs_axes
from workbench.core.hooked import HookedModel
from workbench.core.metrics import logits_of
from workbench.core.ranges import PositiveInt
from workbench.core.registry import ANALYSES

Observations = Float[Tensor, "batch *observation"]


@dataclass(frozen=True)
class Counterfactuals(Result):
    """Changed observations, the actions before and after, and the size of each change.

    `distance` is the Euclidean norm of the change after division by `scale`. `found` is false where no change was
    found.
    """

    view: ClassVar[View] = View(
        main="distance", title="Smallest change of the observation that changes the action",
        quantity="size of the change",
    )  # fmt: skip

    observation: Observations
    changed: Observations
    before: Int[Tensor, " batch"]
    after: Int[Tensor, " batch"]
    distance: Float[Tensor, " batch"]
    found: Bool[Tensor, " batch"]


@ANALYSES.register("counterfactuals")
@needs_axes("action")
def find_counterfactuals(model: HookedModel, inputs: Observations, steps: PositiveInt = 50) -> Counterfactuals:
    """Find the smallest change of each observation that changes the greedy action.

    Args:
        model: A policy with continuous observations.
        inputs: Observations. Changes are measured in units of each entry's range over them (1 if it is constant).
        steps: Maximum number of steps.

    Returns:
        A `Counterfactuals`.

    Cost: `steps` forward passes and 1 backward pass per action and step.

    References: Moosavi-Dezfooli et al. 2016 (DeepFool).

    Example:
        >>> found = workbench.run("counterfactuals", model="cartpole_ppo")
        >>> found.found.all(), (found.before != found.after).all()
        (tensor(True), tensor(True))
    """
    span = inputs.amax(dim=0) - inputs.amin(dim=0)
    with model.lock:
        return find_smallest_edit(model, inputs, torch.where(span > 0, span, torch.ones_like(span)), steps=steps)


@torch.enable_grad()
def find_smallest_edit(
    model: HookedModel,
    observations: Observations,
    scale: Float[Tensor, " *observation"],
    low: Float[Tensor, " *observation"] | None = None,
    high: Float[Tensor, " *observation"] | None = None,
    steps: int = 50,
) -> Counterfactuals:
    """Find a small change of continuous observations that changes the greedy action (DeepFool).

    1. Step to the nearest decision boundary of the policy, linearized at the current point, until the action changes.
    2. Shorten the change by bisection.

    The distance is an upper bound, and exact for linear policies.

    Args:
        model: A policy.
        observations: Observations to change.
        scale: Size of each entry, the unit of distances.
        low: Lower bound of each entry.
        high: Upper bound of each entry.
        steps: Maximum number of steps.

    Cost: `steps` forward passes and 1 backward pass per action and step.

    References: Moosavi-Dezfooli et al. 2016.
    """
    start = observations.detach()
    before = logits_of(model(start)).argmax(dim=1).detach()
    x, found = start.clone(), torch.zeros(len(start), dtype=torch.bool)
    for _ in range(steps):
        step = _step_to_boundary(model, x, before, scale)
        x = _clamp(torch.where(_expand_to(found, x), x, x + step), low, high)
        found = _flips(model, x, before)
        if bool(found.all()):
            break
    x = _shorten(model, start, x, before)
    after = logits_of(model(x)).argmax(dim=1).detach()
    distance = ((x - start) / scale).flatten(1).norm(dim=1)
    return Counterfactuals(start, x, before, after, distance, found)


def _step_to_boundary(model: HookedModel, x: Tensor, before: Tensor, scale: Tensor) -> Tensor:
    """Return the shortest step (in units of `scale`) past the nearest linearized boundary."""
    leaf = x.detach().requires_grad_()
    logits = logits_of(model(leaf))
    own = logits.gather(1, before[:, None])[:, 0]
    best, shortest = torch.zeros_like(x), torch.full((len(x),), torch.inf)
    for action in range(logits.shape[1]):
        gap = logits[:, action] - own
        gradient = torch.autograd.grad(gap.sum(), leaf, retain_graph=True)[0] * scale
        square = gradient.flatten(1).square().sum(dim=1).clamp(min=1e-12)
        length = gap.detach().abs() / square.sqrt()
        step = scale * gradient * _expand_to((gap.detach().abs() / square), x) * 1.02
        nearer = (length < shortest) & (before != action)
        best, shortest = torch.where(_expand_to(nearer, x), step, best), torch.where(nearer, length, shortest)
    return best


@torch.no_grad()
def _shorten(model: HookedModel, start: Tensor, end: Tensor, before: Tensor, halvings: int = 30) -> Tensor:
    """Find by bisection the first point between start and end where the action differs."""
    low, high = torch.zeros(len(start)), torch.ones(len(start))
    for _ in range(halvings):
        middle = (low + high) / 2
        flips = _flips(model, torch.lerp(start, end, _expand_to(middle, start)), before)
        low, high = torch.where(flips, low, middle), torch.where(flips, middle, high)
    return torch.lerp(start, end, _expand_to(high, start))


@torch.no_grad()
def _flips(model: HookedModel, x: Tensor, before: Tensor) -> Tensor:
    return logits_of(model(x)).argmax(dim=1) != before


def _clamp(x: Tensor, low: Tensor | None, high: Tensor | None) -> Tensor:
    return x if low is None and high is None else x.clamp(low, high)


def _expand_to(row: Tensor, like: Tensor) -> Tensor:
    return row.reshape(-1, *[1] * (like.ndim - 1))
