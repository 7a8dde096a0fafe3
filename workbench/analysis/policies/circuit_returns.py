"""Validation of a policy's circuit by the return of rollouts that keep only some edges."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor

from workbench.analysis.circuits.attribution import differentiate_mask, eap_ig
from workbench.analysis.circuits.faithfulness import log_sizes
from workbench.analysis.policies.episodes import USUAL, EpisodeConfig, run_episodes, total_returns
from workbench.core.coordinates import Result, View
from workbench.core.errors import ConfigError, InputError
from workbench.core.fitting import needs_axes
from workbench.core.graph import Graph
from workbench.core.hooked import HookedModel
from workbench.core.intervals import mean_interval
from workbench.core.metrics import LogitDifference, logits_of, runner_up
from workbench.core.progress import Progress, silent
from workbench.core.protocols import Environments, World
from workbench.core.random import generator
from workbench.core.ranges import PositiveInt
from workbench.core.registry import ANALYSES
from workbench.core.wiring import Masks

PROBES = 200
"""Random sign vectors for estimating magnitudes, to about 10 %."""
Means = dict[str, Float[Tensor, "one *activation"]]


@dataclass(frozen=True)
class CircuitReturns(Result):
    """Returns of greedy episodes with only some edges kept, paired by seed.

    Cut edges carry their mean over the states. `circuit` keeps the `sizes` strongest edges by attribution (EAP-IG of
    the chosen action's logit minus the runner-up's), `magnitude` those with the largest root mean square, `random`
    random ones. Only edges that lead to the actions are counted. `intact` keeps all edges, `cut` none.
    """

    view: ClassVar[View] = View(main="random")

    sizes: Int[Tensor, " size"]
    circuit: Float[Tensor, "size episode"]
    magnitude: Float[Tensor, "size episode"]
    random: Float[Tensor, "draw size episode"]
    intact: Float[Tensor, " episode"]
    cut: Float[Tensor, " episode"]
    scores: dict[str, Float[Tensor, "_node _port"]]

    def interval(self, returns: Float[Tensor, "... episode"]) -> Float[Tensor, "2 ..."]:
        """Compute the 95 % bootstrap interval of mean returns, over episodes."""
        return mean_interval(returns)

    def smallest(self, returns: Float[Tensor, "size episode"], share: float = 0.9) -> int | None:
        """Return the smallest size from which on `share` of the gap between `cut` and `intact` is kept, or None."""
        target = self.cut.mean() + share * (self.intact.mean() - self.cut.mean())
        below = (returns.mean(dim=1) < target).nonzero().flatten()
        first = 0 if len(below) == 0 else int(below[-1]) + 1
        return int(self.sizes[first]) if first < len(self.sizes) else None


def measure_circuit_returns(
    model: HookedModel,
    make_environments: Callable[[int], Environments],
    states: Float[Tensor, "batch *observation"],
    seeds: Sequence[int],
    points: int = 12,
    draws: int = 3,
    seed: int = 0,
    progress: Progress = silent,
) -> CircuitReturns:
    """Measure the return against the number of edges kept, for circuits by attribution, by magnitude and at random.

    Args:
        model: A policy.
        make_environments: Makes a vector environment with the given number of rows.
        states: Observations of the policy's episodes, for scoring edges and for the mean of cut edges.
        seeds: Seeds of the episodes, the same for every circuit.
        points: Number of circuit sizes.
        draws: Number of random orders of the edges.
        seed: Seeds the random orders.
        progress: Called with the number of finished circuits and their total.

    Cost: (2 + `draws`) * `points` + 2 rollouts, with 1 forward pass on all unfinished rows per step.
    """
    graph = model.graph()
    ranked = rank_edges(graph, states, draws, seed)
    sizes = log_sizes(ranked.n, points)
    rollout = Rollout(graph, make_environments, mean_writes(graph, states), tuple(seeds))
    returns = torch.zeros(len(ranked.strength), len(sizes), len(seeds), dtype=torch.float64)
    for done, (order, place) in enumerate(torch.cartesian_prod(*map(torch.arange, returns.shape[:2])).tolist()):
        returns[order, place] = rollout.run(graph.wiring.largest(ranked.strength[order], int(sizes[place])))
        progress(done + 1, len(returns) * len(sizes))
    intact, cut = rollout.run(graph.full(1.0)), rollout.run(graph.full(0.0))
    return CircuitReturns(sizes, returns[0], returns[1], returns[2:], intact, cut, ranked.scores)


@dataclass(frozen=True)
class Ranked:
    """Strength of each edge in each order: by attribution, by magnitude, and random.

    Edges that do not lead to the actions have -1.
    """

    strength: Float[Tensor, "order edge"]
    n: int
    """Number of edges that lead to the actions."""
    scores: dict[str, Float[Tensor, "_node _port"]]
    """Attributions by wire."""


def rank_edges(graph: Graph, states: Float[Tensor, "batch *observation"], draws: int, seed: int) -> Ranked:
    """Rank the edges that lead to the actions by attribution, by magnitude, and in `draws` random orders."""
    candidates, random = find_edges_to_actions(graph), generator(seed, "random circuits")
    scores, carried = attribute_edges(graph, states), estimate_magnitudes(graph, states, seed)
    orders = [graph.wiring.as_vector(scores).abs(), graph.wiring.as_vector(carried)]
    orders += [torch.rand(graph.n_edges, generator=random) for _ in range(draws)]
    strength = torch.stack([torch.where(candidates, order, -1.0) for order in orders])
    return Ranked(strength, int(candidates.sum()), scores)


@ANALYSES.register("circuit_returns")
@needs_axes("action")
def check_by_return(
    model: HookedModel,
    inputs: Any,
    world: World,
    play: EpisodeConfig = USUAL,
    points: PositiveInt = 8,
    draws: PositiveInt = 2,
    seed: int = 0,
    progress: Progress = silent,
) -> CircuitReturns:
    """Roll out a policy with only its strongest edges and compare its return with that of control circuits.

    1. Rank the edges by attribution (EAP-IG), by magnitude (root mean square), and at random.
    2. Keep the strongest edges at several sizes and play the same episodes; cut edges carry their mean.
    3. Compare the returns with those of the intact policy and of the policy with all edges cut.

    Args:
        model: A policy.
        inputs: Observations for scoring edges and for the mean of cut edges.
        world: Environment of the policy.
        play: Number and length of the episodes.
        points: Number of circuit sizes.
        draws: Number of random orders of the edges, the control.
        seed: Seeds the episodes and the random orders.
        progress: Called with the number of finished circuits and their total.

    Returns:
        A `CircuitReturns`: undiscounted returns for each order, size and episode.

    Cost: (2 + `draws`) * `points` + 2 rollouts of `episodes` episodes.

    Example:
        >>> found = workbench.run("circuit_returns", model="cartpole_ppo", episodes=2, limit=50, points=2, draws=1)
        >>> found.sizes, found.circuit.shape
        (tensor([   1, 4480]), torch.Size([2, 2]))
    """
    with model.lock:
        return measure_circuit_returns(model, play.rows(world), inputs, play.seeds(seed), points, draws, seed, progress)


@dataclass(frozen=True)
class Rollout:
    """Greedy episodes of a policy with only some edges kept; cut edges carry the mean writes."""

    graph: Graph
    make_environments: Callable[[int], Environments]
    mean: Means
    seeds: tuple[int, ...]

    def run(self, keep: Masks) -> Float[Tensor, " episode"]:
        """Return the return of each episode."""
        cut = {name: 1 - mask.float() for name, mask in keep.items()}

        def choose(observation: Tensor, rows: Tensor) -> Tensor:
            other = {hook: x.expand(len(observation), *x.shape[1:]) for hook, x in self.mean.items()}
            with self.graph.patch(other, cut) as model:
                return logits_of(model(observation)).argmax(dim=-1)

        envs = self.make_environments(len(self.seeds))
        return total_returns(run_episodes(choose, envs, self.seeds), len(self.seeds))


@torch.no_grad()
def mean_writes(graph: Graph, states: Any) -> Means:
    """Compute each node's mean write over the states."""
    return {hook: x.mean(dim=0, keepdim=True) for hook, x in graph.writes(states).items()}


def find_edges_to_actions(graph: Graph) -> Bool[Tensor, " edge"]:
    """Return whether each edge lies on a path to the action logits; those of a critic do not."""
    ends = find_action_sinks(graph)
    shut = [wire for sink in graph.sinks if sink not in ends for wire in graph.wiring.into(sink)]
    keep = {name: torch.full_like(mask, float(name not in shut)) for name, mask in graph.full(1.0).items()}
    return graph.wiring.as_vector(graph.wiring.prune(keep))


def find_action_sinks(graph: Graph) -> list[str]:
    """Return the ports of the action logits or values; raises a `ConfigError` if there are none."""
    if not (ends := [sink for sink in graph.sinks if graph.ports[sink].axis == "action"]):
        raise ConfigError(f"{type(graph.model).__name__} is not a policy: none of {graph.sinks} has an action axis.")
    return ends


def attribute_edges(graph: Graph, states: Float[Tensor, "batch *observation"]) -> dict[str, Tensor]:
    """Score every edge by EAP-IG of the chosen action's logit minus the runner-up's."""
    with torch.no_grad():
        logits = logits_of(graph.model(states))
    chosen = logits.argmax(dim=-1)
    if logits.shape[-1] < 2:
        raise InputError("This policy has a single action, so there is no runner-up. Choose a policy with two or more.")
    metric = LogitDifference(chosen, runner_up(logits, chosen))
    other = {hook: x.expand(len(states), *x.shape[1:]) for hook, x in mean_writes(graph, states).items()}
    return eap_ig(graph, states, other, metric)


def estimate_magnitudes(graph: Graph, states: Float[Tensor, "batch *observation"], seed: int = 0) -> dict[str, Tensor]:
    """Estimate the root mean square over states of each edge's contribution minus its mean.

    The mean of <T(write - mean), random signs>^2 over `PROBES` draws estimates the squared norm (Hutchinson 1990).

    Cost: 1 forward pass, and a derivative of every wire for each draw.
    """
    writes, random = graph.writes(states), generator(seed, "magnitude")
    average, found = mean_writes(graph, states), dict[str, Tensor]()
    for name, wire in graph.wires.items():
        change = graph.group(wire.writer, writes[wire.writer] - average[wire.writer])
        shape = graph.wiring.shape(name)
        like = wire.carry(change, change.new_ones(shape))
        total = change.new_zeros(shape)
        for _ in range(PROBES):
            signs = torch.randint(2, like.shape, generator=random).to(like) * 2 - 1
            total += differentiate_mask(wire, change, signs, shape).square()
        found[name] = (total / PROBES / len(states)).sqrt()
    return found


def jaccard(one: Masks, other: Masks) -> float:
    """Compute the overlap of two circuits: intersection over union of their edges."""
    first, second = (torch.cat([rearrange(m.bool(), "... -> (...)") for m in masks.values()]) for masks in (one, other))
    return float((first & second).sum() / (first | second).sum().clamp(min=1))
