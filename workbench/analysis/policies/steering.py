"""Turning a policy: directions to add, fields of where it would go, and single channels that pull it to a place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from workbench.analysis.policies.episodes import mean_interval, run_episodes
from workbench.core.errors import InputError
from workbench.core.fitting import needs_axes
from workbench.core.hooked import Handler, HookedModel
from workbench.core.interventions import Intervention, steer, zero
from workbench.core.metrics import logits_of
from workbench.core.protocols import Environments, World
from workbench.core.registry import ANALYSES
from workbench.core.sites import Site


@dataclass(frozen=True)
class PolicyField:
    """Where a policy would go from each place: the probability of each action, and the mean move (row, column)."""

    places: Int[Tensor, "place two"]
    probability: Float[Tensor, "place action"]
    move: Float[Tensor, "place two"]


@torch.no_grad()
def compute_policy_field(
    model: HookedModel,
    observations: Float[Tensor, "place *observation"],
    places: Int[Tensor, "place two"],
    moves: Float[Tensor, "action two"],
    interventions: Sequence[Intervention] = (),
) -> PolicyField:
    """The field of the model with the interventions in place; an observation for each place the agent may be at.

    `moves` is what each action adds to (row, column). Costs one forward pass (Turner et al. 2023).
    """
    handlers = model.handlers_for(interventions)
    with model.routed(handlers):
        probability = logits_of(model(observations)).softmax(dim=-1)
    return PolicyField(places, probability, probability @ moves)


@dataclass(frozen=True)
class FieldChange:
    """A policy's field as it is (`before`) and with a part changed (`after`): the mean move (row, column) at each
    place. `change` is the site that was changed, "" when none was; `shift` is how much probability moved from one
    action to another at each place (total variation, 0 to 1).
    """

    change: str
    places: Int[Tensor, "place two"]
    before: Float[Tensor, "place two"]
    after: Float[Tensor, "place two"]
    shift: Float[Tensor, " place"]


@ANALYSES.register("vector_field")
@needs_axes("action", "height")
def change_field(
    model: HookedModel,
    inputs: Float[Tensor, "batch *observation"],
    world: World,
    change: str = "",
    amount: float | None = None,
) -> FieldChange:
    """Where a policy would go from every place of the first input's grid, before and after a part is changed.

    `change` is the site to change, such as "trunk.blocks.1.hook_post[channel=3]"; it is set to zero, or `amount` is
    added there. Costs two forward passes on all places (Turner et al. 2023).
    """
    grid: Any = world.rows(1).unwrapped  # type: ignore[attr-defined]
    if not hasattr(grid, "everywhere"):
        raise InputError(f"{world.name} is no grid to walk over, so it has no field. Choose a policy such as maze_ppo.")
    observations, places = grid.everywhere(inputs[0])
    moves = torch.as_tensor(grid.moves, dtype=torch.float32)
    with model.lock:
        changes = [make_change(change, amount)] if change else []
        one, other = (compute_policy_field(model, observations, places, moves, edits) for edits in ([], changes))
    shift = (one.probability - other.probability).abs().sum(dim=1) / 2
    return FieldChange(change, places, one.move, other.move, shift)


@torch.no_grad()
def compute_steering_vector(
    model: HookedModel,
    hook: str,
    toward: Float[Tensor, "first *observation"],
    away: Float[Tensor, "second *observation"],
) -> Float[Tensor, " *activation"]:
    """Mean activation on `toward` minus that on `away` (activation addition). Costs two forward passes."""
    return model.cache(toward, hook)[hook].mean(dim=0) - model.cache(away, hook)[hook].mean(dim=0)


def add_vector(hook: str, vector: Float[Tensor, " *activation"], strength: float = 1.0) -> Intervention:
    """The intervention that adds a whole activation's difference, whatever its axes."""
    if vector.ndim == 1:
        return steer(hook, strength * vector)
    site = Site.of(hook)
    return Intervention(site, lambda part, axes: part + strength * vector.to(part), "steer")


def make_change(site: str, amount: float | None = None) -> Intervention:
    """Sets a site to zero, or adds an amount to it."""
    if amount is None:
        return zero(site)
    return Intervention(Site.parse(site), lambda part, axes: part + amount, f"add {amount:g}")


@dataclass(frozen=True)
class Retargeting:
    """How often each channel, switched on at a place, brings the agent to that place.

    `reached` and `intact` are shares over all targets, with and without the intervention; `gain` is their paired
    difference with its 95 % bootstrap interval (`low`, `high`). `by_target` is each one's success.
    """

    hook: str
    value: float
    n_targets: int
    reached: Float[Tensor, " channel"]
    intact: float
    gain: Float[Tensor, " channel"]
    low: Float[Tensor, " channel"]
    high: Float[Tensor, " channel"]
    by_target: Bool[Tensor, "channel target"]


@dataclass(frozen=True)
class Targets:
    """What the agent is to be brought to, one row each: the episode's seed, and the place (row, column)."""

    seeds: tuple[int, ...]
    place: Int[Tensor, "target two"]


def retarget(
    model: HookedModel,
    make_environments: Callable[[int], Environments],
    hook: str,
    targets: Targets,
    agent_at: Callable[[Tensor], Int[Tensor, "row two"]],
    value: float = 5.0,
    limit: int | None = None,
) -> Retargeting:
    """For each channel at `hook`: set it to `value` at each target's place, roll out, and see if the agent gets there.

    `agent_at` tells where the agent is in an observation. Success is being at the target at any step of the first
    episode. Every target counts, not only those that work. Costs a rollout of all targets for each channel and one
    more (Turner et al. 2023, "a maze-solving policy network").
    """
    info = model.trace()[hook]
    if info.axes[1:] != ("channel", "height", "width"):
        raise InputError(f"{hook} has axes {info.axes} and not channel, height and width. Choose a convolution's hook.")
    run = partial(run_targets, model, make_environments, hook, targets, agent_at, limit=limit)
    intact = run(None, value)
    reached = torch.stack([run(channel, value) for channel in range(info.size("channel"))])
    change = reached.double() - intact.double()
    low, high = mean_interval(change)
    return Retargeting(
        hook, value, len(targets.seeds), reached.double().mean(1), float(intact.double().mean()), change.mean(1),
        low, high, reached,
    )  # fmt: skip


def run_targets(
    model: HookedModel,
    make_environments: Callable[[int], Environments],
    hook: str,
    targets: Targets,
    agent_at: Callable[[Tensor], Tensor],
    channel: int | None,
    value: float,
    limit: int | None = None,
) -> Bool[Tensor, " target"]:
    """Whether each target is visited with one channel switched on there (None: with the policy as it is)."""
    seen = torch.zeros(len(targets.seeds), dtype=torch.bool)

    def choose(observation: Tensor, rows: Tensor) -> Tensor:
        place = targets.place[rows]

        def switch(x: Tensor) -> Tensor:
            y = x.clone()
            y[torch.arange(len(y)), channel, place[:, 0], place[:, 1]] = value
            return y

        handlers: dict[str, Handler] = {} if channel is None else {hook: switch}
        with model.routed(handlers):
            return logits_of(model(observation)).argmax(dim=-1)

    for step in run_episodes(choose, make_environments(len(targets.seeds)), targets.seeds, limit):
        seen[step.rows] |= (agent_at(step.led_to) == targets.place[step.rows]).all(dim=1)
    return seen
