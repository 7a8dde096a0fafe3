"""Counterfactual states: the smallest change to what a policy sees that makes it do something else."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from workbench.core.errors import InputError
from workbench.core.fitting import needs_axes
from workbench.core.hooked import HookedModel
from workbench.core.metrics import logits_of
from workbench.core.registry import ANALYSES

Observations = Float[Tensor, "batch *observation"]


@dataclass(frozen=True)
class Counterfactuals:
    """For each observation the changed one, the actions before and after, and how large the change is.

    `distance` is the Euclidean length of the change after division by `scale`; `found` says whether any was.
    """

    observation: Observations
    changed: Observations
    before: Int[Tensor, " batch"]
    after: Int[Tensor, " batch"]
    distance: Float[Tensor, " batch"]
    found: Bool[Tensor, " batch"]


@ANALYSES.register("counterfactuals")
@needs_axes("action")
def find_counterfactuals(model: HookedModel, inputs: Observations, steps: int = 50) -> Counterfactuals:
    """The smallest change of each observation that makes the policy do something else; see `find_smallest_edit`.

    Changes are measured in the range that each entry has over the inputs (1 where it has none). Costs `steps` forward
    passes and a backward pass for each action.
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
    """The smallest change of continuous observations that flips the greedy action (DeepFool, Moosavi-Dezfooli 2016).

    Steps to the nearest boundary of the policy linearized where it stands, until the action flips; then halves the
    change as far as it still flips. `scale` is the size of each entry; `low` and `high` keep it within bounds. An
    upper bound: exact where the policy is linear. Costs `steps` forward and one backward pass for each action.
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
    """The shortest step, in units of `scale`, past the nearest linearized boundary."""
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
    """The point nearest to the start on the way to the end where the action is another one, by bisection."""
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


@torch.no_grad()
def find_nearest_flip(
    model: HookedModel,
    observation: Float[Tensor, " *observation"],
    candidates: Observations,
    size: Float[Tensor, " batch"],
) -> Counterfactuals:
    """Of legal states, such as a maze with one wall moved, the one of least `size` that changes the action: exact.

    Costs one forward pass on all candidates.
    """
    if len(candidates) != len(size) or not len(size):
        raise InputError(f"{len(candidates)} candidates and {len(size)} sizes do not fit. Give one size for each.")
    before = logits_of(model(observation[None])).argmax(dim=1)
    actions = logits_of(model(candidates)).argmax(dim=1)
    distance = torch.where(actions != before, size, torch.inf)
    nearest = int(distance.argmin())
    found = distance[nearest].isfinite()[None]
    changed = candidates[nearest] if bool(found) else observation
    after = actions[nearest][None] if bool(found) else before
    return Counterfactuals(observation[None], changed[None], before, after, distance[nearest][None], found)
