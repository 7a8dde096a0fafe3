"""Steering of policies: steering vectors, vector fields, and channels that retarget the agent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import isfinite
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from workbench.analysis.policies.episodes import run_episodes
from workbench.core.coordinates import Axis, Result, View
from workbench.core.errors import InputError
from workbench.core.fitting import needs_axes
from workbench.core.hooked import HookedModel, HookFn
from workbench.core.intervals import mean_interval
from workbench.core.interventions import Intervention, steer, zero
from workbench.core.metrics import logits_of
from workbench.core.protocols import Environments, World
from workbench.core.registry import ANALYSES
from workbench.core.sites import Site


@dataclass(frozen=True)
class PolicyField:
    """Probability of each action at each place, and the mean move (row, column)."""

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
    """Compute the policy at every place, with interventions.

    Args:
        model: A policy on a grid.
        observations: Observation for each place of the agent.
        places: Coordinates (row, column).
        moves: Change of (row, column) by each action.
        interventions: Applied to the model.

    Cost: 1 forward pass.

    References: Turner et al. 2023.
    """
    handlers = model.compile_edits(interventions)
    with model.attach(handlers):
        probability = logits_of(model(observations)).softmax(dim=-1)
    return PolicyField(places, probability, probability @ moves)


@dataclass(frozen=True)
class FieldChange(Result):
    """Mean move (row, column) at each place, of the intact policy (`before`) and of the changed one (`after`).

    `change` is the changed site, "" for none. `shift` is the total variation distance between the action probabilities
    at each place (0 to 1).
    """

    view: ClassVar[View] = View(main="shift")

    change: str
    places: Int[Tensor, "place two"]
    before: Float[Tensor, "place two"]
    after: Float[Tensor, "place two"]
    shift: Float[Tensor, " place"]

    def coordinates(self) -> Mapping[str, Axis]:
        """Name the two directions of places and moves."""
        return {"two": Axis("direction", ("row", "column"))}


@ANALYSES.register("vector_field")
@needs_axes("action", "height")
def change_field(
    model: HookedModel,
    inputs: Float[Tensor, "batch *observation"],
    world: World,
    change: str = "",
    amount: float | None = None,
) -> FieldChange:
    """Compute a policy's vector field over the first input's grid, before and after changing a part.

    Args:
        model: A policy on a grid.
        inputs: Observations, of which the first is used.
        world: Environment of the policy.
        change: Site to change, such as "trunk.blocks.1.hook_post[channel=3]"; "" for none.
        amount: Number to add at the site. By default the site is set to zero.

    Returns:
        A `FieldChange`.

    Raises:
        InputError: If the environment is not a grid.

    Cost: 2 forward passes on all places.

    References: Turner et al. 2023.

    Example:
        >>> found = workbench.run("vector_field", model="maze_ppo", change="trunk.blocks.0.hook_post[channel=0]")
        >>> found.before.shape, found.shift.max() > 0.1
        (torch.Size([32, 2]), tensor(True))
    """
    grid: Any = world.rows(1).unwrapped  # type: ignore[attr-defined]
    if not hasattr(grid, "everywhere"):
        raise InputError(f"{world.name} is not a grid, so it has no vector field. Choose a policy such as maze_ppo.")
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
    """Compute the mean activation on `toward` minus that on `away` (activation addition).

    Cost: 2 forward passes.
    """
    return model.cache(toward, hook)[hook].mean(dim=0) - model.cache(away, hook)[hook].mean(dim=0)


def add_vector(hook: str, vector: Float[Tensor, " *activation"], strength: float = 1.0) -> Intervention:
    """Return the intervention that adds a full activation, with any axes."""
    if vector.ndim == 1:
        return steer(hook, strength * vector)
    site = Site.of(hook)
    return Intervention(site, lambda part, axes: part + strength * vector.to(part), "steer")


def make_change(site: str, amount: float | None = None) -> Intervention:
    """Return the intervention that sets a site to zero, or adds an amount to it."""
    if amount is None:
        return zero(site)
    if not isfinite(amount):
        raise InputError(f"amount={amount} cannot be added to {site}. Give a finite number.")
    return Intervention(Site.parse(site), lambda part, axes: part + amount, f"add {amount:g}")


@dataclass(frozen=True)
class Retargeting:
    """Share of targets that the agent reaches when a channel is set there, for each channel.

    `reached` and `intact` are shares with and without the intervention; `gain` is their paired difference with its 95 %
    bootstrap interval (`low`, `high`). `by_target` is the success of each target.
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
    """Targets of the agent: the seed of the episode, and the place (row, column)."""

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
    """Set each channel to `value` at the place of each target, roll out, and record whether the agent gets there.

    A target is reached if the agent is there at any step of the episode. All targets count.

    Args:
        model: A policy on a grid.
        make_environments: Makes a vector environment with the given number of rows.
        hook: A convolution's hook.
        targets: Seeds and places.
        agent_at: Returns the agent's place in an observation.
        value: Activation to set.
        limit: Time limit in steps.

    Returns:
        A `Retargeting`.

    Cost: 1 rollout of all targets per channel, and 1 more.

    References: Turner et al. 2023 ("Understanding and controlling a maze-solving policy network").
    """
    info = model.trace()[hook]
    if info.axes[1:] != ("channel", "height", "width"):
        raise InputError(
            f"{hook} has axes {info.axes}, expected channel, height and width. Choose a convolution's hook."
        )
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
    """Return whether each target is reached with one channel set there (None: with the intact policy)."""
    seen = torch.zeros(len(targets.seeds), dtype=torch.bool)

    def choose(observation: Tensor, rows: Tensor) -> Tensor:
        place = targets.place[rows]

        def switch(x: Tensor) -> Tensor:
            y = x.clone()
            y[torch.arange(len(y)), channel, place[:, 0], place[:, 1]] = value
            return y

        handlers: dict[str, HookFn] = {} if channel is None else {hook: switch}
        with model.attach(handlers):
            return logits_of(model(observation)).argmax(dim=-1)

    for step in run_episodes(choose, make_environments(len(targets.seeds)), targets.seeds, limit):
        seen[step.rows] |= (agent_at(step.led_to) == targets.place[step.rows]).all(dim=1)
    return seen
