"""Maximizing observations of a unit or action: within bounds, and among states reachable in the environment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from workbench.analysis.hook_shapes import require_unit_axis
from workbench.analysis.policies.episodes import run_episodes, to_tensor
from workbench.core.coordinates import Result, View
from workbench.core.errors import InputError
from workbench.core.fitting import needs_axes
from workbench.core.hooked import HookedModel
from workbench.core.metrics import logits_of
from workbench.core.progress import Progress, silent
from workbench.core.protocols import Environments, World
from workbench.core.random import generator
from workbench.core.ranges import Indices, PositiveInt, check_fields
from workbench.core.registry import ANALYSES
from workbench.core.sites import Site

Score = Callable[[Tensor], Float[Tensor, " batch"]]
"""Maps observations to one number each."""
Observation = Float[Tensor, " *observation"]
ROWS = 32
"""Episodes per generation."""


@dataclass(frozen=True)
class Maximum:
    """Best observation and its score. `path` are the actions that lead there in the episode of `seed`."""

    observation: Observation
    score: float
    seed: int | None = None
    path: Int[Tensor, " step"] | None = None


@dataclass(frozen=True)
class ReachableMaxima(Result):
    """Largest activation of each unit on the inputs, in the box they span, and in reachable states.

    `reached_observation` occurs `steps` steps after the start of the episode of `seeds`.
    """

    view: ClassVar[View] = View(
        main="reachable", quantity="activation", title="Largest activation of units at {hook}",
        series={"bounded": "in the box of the inputs", "reachable": "in reachable states", "natural": "on the inputs"},
    )  # fmt: skip

    hook: str
    axis: str
    units: tuple[int, ...]
    natural: Float[Tensor, " unit"]
    bounded: Float[Tensor, " unit"]
    reachable: Float[Tensor, " unit"]
    bounded_observation: Float[Tensor, "unit *observation"]
    reached_observation: Float[Tensor, "unit *observation"]
    seeds: Int[Tensor, " unit"]
    steps: Int[Tensor, " unit"]


@dataclass(frozen=True)
class ReachConfig:
    """Size of the search for reachable states."""

    steps: PositiveInt = 100
    """Maximum length of an episode in steps."""
    generations: PositiveInt = 6
    """Number of generations of 32 episodes. Each one starts from the best paths so far."""

    def __post_init__(self) -> None:
        check_fields(self)


USUAL = ReachConfig()


@ANALYSES.register("reachable")
@needs_axes("action")
def maximize_both_ways(
    model: HookedModel,
    inputs: Float[Tensor, "batch *observation"],
    world: World,
    hook: str,
    units: Indices | None = None,
    search: ReachConfig = USUAL,
    seed: int = 0,
    progress: Progress = silent,
) -> ReachableMaxima:
    """Maximize each unit of a hook over a box of observations and over reachable states.

    Args:
        model: A policy.
        inputs: Observations, which span the box.
        world: Environment of the policy.
        hook: Name of a hook with units.
        units: Indices on the axis of the units. By default the first 8.
        search: Size of the search for reachable states.
        seed: Seeds episodes and random actions.
        progress: Called with the number of finished units and their total.

    Returns:
        A `ReachableMaxima`.

    Raises:
        InputError: If the hook has no units.

    Cost: for each unit 200 forward and backward passes in the box, and 1 forward pass per step of each generation.

    Example:
        >>> hook = "actor.blocks.1.hook_post"
        >>> found = workbench.run("reachable", model="cartpole_ppo", hook=hook, units=(0,), steps=5, generations=1)
        >>> found.bounded >= found.natural
        tensor([True])
    """
    info = model.trace()[Site.of(hook).resolve(model).hook]
    axis = require_unit_axis(model, info)
    chosen = tuple(range(min(8, info.size(axis)))) if units is None else units
    low, high = inputs.amin(dim=0), inputs.amax(dim=0)
    seeds, act = range(seed, seed + ROWS), lambda x: logits_of(model(x))
    pairs, natural = list[tuple[Maximum, Maximum]](), list[Tensor]()
    with model.lock:
        for done, unit in enumerate(chosen):
            score = make_site_score(model, Site(info.name, {axis: unit}))
            in_box = maximize_in_bounds(score, low, torch.where(high > low, high, low + 1e-6), seed=seed)
            pairs.append(
                (in_box, maximize_reachable(score, act, world.rows, seeds, search.steps, search.generations, seed))
            )
            with torch.no_grad():
                natural.append(score(inputs).max())
            progress(done + 1, len(chosen))
    boxed, reached = zip(*pairs, strict=True)
    return ReachableMaxima(
        hook=info.name,
        axis=axis,
        units=chosen,
        natural=torch.stack(natural),
        bounded=torch.tensor([found.score for found in boxed]),
        reachable=torch.tensor([found.score for found in reached]),
        bounded_observation=torch.stack([found.observation for found in boxed]),
        reached_observation=torch.stack([found.observation for found in reached]),
        seeds=torch.tensor([found.seed or 0 for found in reached]),
        steps=torch.tensor([0 if found.path is None else len(found.path) for found in reached]),
    )


def make_site_score(model: HookedModel, site: Site | str) -> Score:
    """Return a function that computes the mean activation at a site.

    The site may be a unit, an action's logit (`actor.hook_logits[action=1]`) or a Q-value.
    """
    where = Site.of(site).resolve(model)
    axes = model.hook_dict[where.hook].axes

    def score(observations: Tensor) -> Tensor:
        return where.select(model.cache(observations, where.hook)[where.hook], axes).flatten(1).mean(dim=1)

    return score


@torch.enable_grad()
def maximize_in_bounds(
    score: Score, low: Observation, high: Observation, restarts: int = 32, steps: int = 200, seed: int = 0
) -> Maximum:
    """Maximize a score over a box by signed gradient ascent with random restarts.

    Each step moves every entry by a share of its range that decreases to zero.

    Args:
        score: Function to maximize.
        low: Lower bounds.
        high: Upper bounds.
        restarts: Number of random starting points.
        steps: Number of steps.
        seed: Seeds the starting points.

    Cost: `steps` forward and backward passes on `restarts` rows.
    """
    if not bool((low.isfinite() & high.isfinite() & (low < high)).all()):
        raise InputError(
            "Bounds must be finite and low less than high. Use, for example, the range of observed states."
        )
    span = high - low
    x = low + span * torch.rand(restarts, *low.shape, generator=generator(seed, "bounds"))
    best, value = x.clone(), torch.full((restarts,), -torch.inf)
    for step in range(steps + 1):
        leaf = x.detach().requires_grad_()
        found = score(leaf)
        better = found.detach() > value
        value[better], best[better] = found.detach()[better], x.detach()[better]
        gradient = torch.autograd.grad(found.sum(), leaf)[0]
        x = (x + 0.1 * (1 - step / (steps + 1)) * span * gradient.sign()).detach().clamp(low, high)
    winner = int(value.argmax())
    return Maximum(best[winner], float(value[winner]))


@torch.no_grad()
def maximize_reachable(
    score: Score,
    policy: Callable[[Tensor], Tensor],
    make_environments: Callable[[int], Environments],
    seeds: Sequence[int],
    steps: int = 100,
    generations: int = 10,
    seed: int = 0,
) -> Maximum:
    """Search for the reachable state with the largest score.

    1. Play one episode per row with a mixture of the policy and random actions; the share of random actions differs
       between rows.
    2. In each further generation, every row repeats the path of one of the best quarter up to a random step, and
       continues as in 1.

    The result is a lower bound. The environment must not be random after the start.

    Args:
        score: Function to maximize.
        policy: Returns action logits.
        make_environments: Makes a vector environment with the given number of rows.
        seeds: Seed of each row's episode.
        steps: Maximum length of an episode.
        generations: Number of generations.
        seed: Seeds the random actions.

    Cost: `generations` * `steps` forward passes on all rows.
    """
    random, n = generator(seed, "reachable"), len(seeds)
    row_seeds, plans = torch.tensor(list(seeds)), torch.full((n, steps), -1)
    n_actions = policy(to_tensor(make_environments(1).reset(seed=[int(row_seeds[0])])[0])).shape[-1]
    noise = torch.linspace(0, 1, n)
    best: Maximum | None = None
    for _ in range(generations):
        free = torch.where(torch.rand(n, steps, generator=random) < noise[:, None],
                           torch.randint(n_actions, (n, steps), generator=random), -1)  # fmt: skip
        tries = _play(score, policy, make_environments, row_seeds, torch.where(plans >= 0, plans, free))
        order = tries.value.argsort(descending=True)
        top = int(order[0])
        if best is None or float(tries.value[top]) > best.score:
            path = tries.action[top, : int(tries.step[top])]
            best = Maximum(tries.observation[top], float(tries.value[top]), int(row_seeds[top]), path)
        parents = order[: max(1, n // 4)][torch.randint(max(1, n // 4), (n,), generator=random)]
        until = (torch.rand(n, generator=random) * (tries.step[parents] + 1)).long()
        plans = torch.where(torch.arange(steps) < until[:, None], tries.action[parents], -1)
        row_seeds = row_seeds[parents]
    assert best is not None
    return best


@dataclass(frozen=True)
class _Tries:
    """Best state of each row, its score and step, and all actions taken."""

    observation: Tensor
    value: Tensor
    step: Tensor
    action: Tensor


def _play(
    score: Score, policy: Callable[[Tensor], Tensor], make: Callable[[int], Environments], seeds: Tensor, plan: Tensor
) -> _Tries:
    n, steps = plan.shape
    action, value, at = torch.full((n, steps), -1), torch.full((n,), -torch.inf), torch.zeros(n, dtype=torch.long)
    t, observation = 0, None

    def choose(seen: Tensor, rows: Tensor) -> Tensor:
        greedy = policy(seen).argmax(dim=-1)
        planned = plan[rows, t]
        return torch.where(planned >= 0, planned, greedy)

    for step in run_episodes(choose, make(n), seeds.tolist(), steps):
        if observation is None:
            observation = step.observation.clone()
            value = score(observation).clone()
        action[step.rows, t] = step.action
        found = score(step.led_to)
        better = found > value[step.rows]
        rows = step.rows[better]
        value[rows], observation[rows], at[rows] = found[better], step.led_to[better], t + 1
        t += 1
    assert observation is not None
    return _Tries(observation, value, at, action)
