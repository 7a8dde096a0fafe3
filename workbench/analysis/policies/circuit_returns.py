"""Circuits checked by the return: keep only some edges, roll out, and see what the policy still earns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor

from workbench.analysis.circuits.attribution import derivative, integrate_edges
from workbench.analysis.circuits.faithfulness import log_sizes
from workbench.analysis.policies.episodes import USUAL, EpisodeConfig, mean_interval, run_episodes, total_returns
from workbench.core.errors import ConfigError, InputError
from workbench.core.fitting import needs_axes
from workbench.core.graph import Graph
from workbench.core.hooked import HookedModel
from workbench.core.metrics import LogitDifference, logits_of, runner_up
from workbench.core.progress import Progress, silent
from workbench.core.protocols import Environments, World
from workbench.core.random import generator
from workbench.core.registry import ANALYSES
from workbench.core.wiring import Masks

PROBES = 200
"""Random signs that estimate how much an edge carries: to about 10 %."""
Means = dict[str, Float[Tensor, "one *activation"]]


@dataclass(frozen=True)
class CircuitReturns:
    """Returns of greedy episodes with only some edges kept, paired by seed; cut edges carry their mean over `states`.

    `circuit` keeps the `sizes` strongest edges by attribution (EAP-IG of the chosen action's logit minus the
    runner-up's), `magnitude` those that carry most, whatever for (root mean square), `random` any. Only edges that
    lead to the actions are counted. `intact` keeps all, `cut` none.
    """

    sizes: Int[Tensor, " size"]
    circuit: Float[Tensor, "size episode"]
    magnitude: Float[Tensor, "size episode"]
    random: Float[Tensor, "draw size episode"]
    intact: Float[Tensor, " episode"]
    cut: Float[Tensor, " episode"]
    scores: dict[str, Float[Tensor, "_node _port"]]

    def interval(self, returns: Float[Tensor, "... episode"]) -> Float[Tensor, "2 ..."]:
        """The 95 % bootstrap interval of mean returns, over episodes."""
        return mean_interval(returns)

    def smallest(self, returns: Float[Tensor, "size episode"], share: float = 0.9) -> int | None:
        """The fewest edges from which on `share` of the way from `cut` to `intact` is kept; None: all are needed."""
        wanted = self.cut.mean() + share * (self.intact.mean() - self.cut.mean())
        below = (returns.mean(dim=1) < wanted).nonzero().flatten()
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
    """Return against number of edges kept, for circuits by attribution, by magnitude and at random.

    `states` are observations of the policy's own episodes: edges are scored on them and cut edges carry their mean
    over them. `seeds` start the episodes, the same for every circuit. `points` sizes, `draws` random orders from
    `seed`. Costs (2 + `draws`) x `points` rollouts, with a forward pass on all unfinished rows per step.
    """
    graph = model.graph()
    ranked = rank_edges(graph, states, draws, seed)
    sizes = log_sizes(ranked.n, points)
    run = Rollout(graph, make_environments, mean_writes(graph, states), tuple(seeds))
    returns = torch.zeros(len(ranked.strength), len(sizes), len(seeds), dtype=torch.float64)
    for done, (order, place) in enumerate(torch.cartesian_prod(*map(torch.arange, returns.shape[:2])).tolist()):
        returns[order, place] = run.keeping(graph.wiring.largest(ranked.strength[order], int(sizes[place])))
        progress(done + 1, len(returns) * len(sizes))
    intact, cut = run.keeping(graph.full(1.0)), run.keeping(graph.full(0.0))
    return CircuitReturns(sizes, returns[0], returns[1], returns[2:], intact, cut, ranked.scores)


@dataclass(frozen=True)
class Ranked:
    """How strong each edge is in every order of them: by attribution, by magnitude, then at random.

    Edges that do not lead to the actions have -1 everywhere; `n` do. `scores` are the attributions by wire.
    """

    strength: Float[Tensor, "order edge"]
    n: int
    scores: dict[str, Float[Tensor, "_node _port"]]


def rank_edges(graph: Graph, states: Float[Tensor, "batch *observation"], draws: int, seed: int) -> Ranked:
    """The strongest, the loudest and `draws` random orders of the edges that lead to the actions."""
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
    points: int = 8,
    draws: int = 2,
    seed: int = 0,
    progress: Progress = silent,
) -> CircuitReturns:
    """What a policy earns with only some of its edges: the strongest on the inputs, the loudest, random ones.

    Circuits of `points` sizes play the same episodes; `draws` random orders of the edges are the control. Costs
    (2 + `draws`) x `points` rollouts.
    """
    with model.lock:
        return measure_circuit_returns(model, play.rows(world), inputs, play.seeds(seed), points, draws, seed, progress)


@dataclass(frozen=True)
class Rollout:
    """Greedy episodes of a policy of which only some edges are kept; the others carry the mean writes."""

    graph: Graph
    make_environments: Callable[[int], Environments]
    mean: Means
    seeds: tuple[int, ...]

    def keeping(self, keep: Masks) -> Float[Tensor, " episode"]:
        """The return of each episode."""
        cut = {name: 1 - mask.float() for name, mask in keep.items()}

        def choose(observation: Tensor, rows: Tensor) -> Tensor:
            other = {hook: x.expand(len(observation), *x.shape[1:]) for hook, x in self.mean.items()}
            with self.graph.patched(other, cut) as model:
                return logits_of(model(observation)).argmax(dim=-1)

        envs = self.make_environments(len(self.seeds))
        return total_returns(run_episodes(choose, envs, self.seeds), len(self.seeds))


@torch.no_grad()
def mean_writes(graph: Graph, states: Any) -> Means:
    """What every node writes on average over the states."""
    return {hook: x.mean(dim=0, keepdim=True) for hook, x in graph.writes(states).items()}


def find_edges_to_actions(graph: Graph) -> Bool[Tensor, " edge"]:
    """Which edges lie on a path to the action logits: those of a critic's own part do not."""
    ends = [sink for sink in graph.sinks if graph.ports[sink].axis == "action"]
    if not ends:
        raise ConfigError(f"{type(graph.model).__name__} chooses no action: none of {graph.sinks} has an action axis.")
    shut = [wire for sink in graph.sinks if sink not in ends for wire in graph.wiring.into(sink)]
    keep = {name: torch.full_like(mask, float(name not in shut)) for name, mask in graph.full(1.0).items()}
    return graph.wiring.as_vector(graph.wiring.pruned(keep))


def attribute_edges(graph: Graph, states: Float[Tensor, "batch *observation"]) -> dict[str, Tensor]:
    """EAP-IG of every edge: what cutting it does to the chosen action's logit minus the runner-up's."""
    with torch.no_grad():
        logits = logits_of(graph.model(states))
    chosen = logits.argmax(dim=-1)
    if logits.shape[-1] < 2:
        raise InputError("A policy with one action has no runner-up to compare with.")
    metric = LogitDifference(chosen, runner_up(logits, chosen))
    other = {hook: x.expand(len(states), *x.shape[1:]) for hook, x in mean_writes(graph, states).items()}
    return integrate_edges(graph, states, other, metric)


def estimate_magnitudes(graph: Graph, states: Float[Tensor, "batch *observation"], seed: int = 0) -> dict[str, Tensor]:
    """Root mean square, over the states, of what each edge carries beside its mean.

    An estimate: the mean of <T(write - mean), random signs>^2 over `PROBES` draws is the squared norm (Hutchinson
    1990). Costs one forward pass, and a derivative of every wire for each draw.
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
            total += derivative(wire, change, signs, shape).square()
        found[name] = (total / PROBES / len(states)).sqrt()
    return found


def jaccard(one: Masks, other: Masks) -> float:
    """Overlap of two circuits: edges in both over edges in either (Jaccard)."""
    first, second = (torch.cat([rearrange(m.bool(), "... -> (...)") for m in masks.values()]) for masks in (one, other))
    return float((first & second).sum() / (first | second).sum().clamp(min=1))
