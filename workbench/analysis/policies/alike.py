"""Similarity of policies: overlap of their circuits and similarity of their representations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from workbench.analysis.policies.circuit_returns import attribute_edges, find_action_sinks
from workbench.core.coordinates import Axis, Result, View
from workbench.core.errors import InputError
from workbench.core.fitting import needs_axes
from workbench.core.graph import Graph
from workbench.core.hooked import HookedModel
from workbench.core.metrics import logits_of
from workbench.core.random import derived_seed
from workbench.core.ranges import PositiveInt
from workbench.core.registry import ANALYSES

DRAWS = 20
"""Random pairings of units for the chance level."""


@dataclass(frozen=True)
class Alikeness(Result):
    """Similarity of other networks to one. The first other is the same architecture untrained.

    `jaccard` is the overlap (intersection over union) of the `size` strongest edges after units were paired by
    correlation, `chance` the same with random pairings. `cka` compares the layers at `hooks` (1: equal up to rotation
    and scale). `agreement` is the share of states with the same greedy action.
    """

    view: ClassVar[View] = View(
        main="jaccard", quantity="overlap, agreement, CKA",
        title="Overlap of the {size:,} strongest edges, and similarity of the layers",
        series={"jaccard": "overlap of circuits", "chance": "paired at random",
                "agreement": "same action", "cka": "CKA"},
        sentence="Overlap of the {size:,} strongest edges: {jaccard:list}; with units paired at random {chance:list}; "
        "CKA {cka:list}.",
    )  # fmt: skip

    others: tuple[str, ...]
    hooks: tuple[str, ...]
    size: int
    jaccard: Float[Tensor, " other"]
    chance: Float[Tensor, " other"]
    agreement: Float[Tensor, " other"]
    cka: Float[Tensor, "other layer"]

    def coordinates(self) -> Mapping[str, Axis]:
        """Name the layers by their hooks."""
        return {"layer": Axis("layer", self.hooks)}


@ANALYSES.register("alike")
@needs_axes("action")
def compare_policies(
    model: HookedModel,
    inputs: Float[Tensor, "batch *observation"],
    load: Callable[[str], HookedModel],
    others: tuple[str, ...] = (),
    size: PositiveInt | None = None,
    seed: int = 0,
) -> Alikeness:
    """Compare a policy's circuit, layers and actions with those of other policies, on the same states.

    1. Score all edges by EAP-IG of the chosen action's logit minus the runner-up's.
    2. Pair the units of each layer one to one by the absolute correlation of their activations (Li et al. 2016).
    3. Compare the strongest edges (Jaccard index), the layers (linear CKA; Kornblith et al. 2019) and the greedy
       actions.

    Args:
        model: A policy.
        inputs: Observations.
        load: Loads a policy by name.
        others: Names of policies with the same observations, actions and number of layers, such as "cartpole_a2c", or
            "cartpole_ppo@10" for the state after 10 updates.
        size: Number of edges to compare. By default a tenth of all edges, at most 200.
        seed: Seeds the untrained network and the random pairings.

    Returns:
        An `Alikeness` with one row per other network, the untrained one first.

    Raises:
        InputError: If the networks differ in inputs or number of layers, or `size` exceeds the number of edges.

    Cost: about a dozen forward and backward passes per network.

    References: Li et al. 2016; Kornblith et al. 2019.

    Example:
        >>> found = workbench.run("alike", model="cartpole_ppo", others=("cartpole_a2c",), size=20)
        >>> found.others
        ('untrained', 'cartpole_a2c')
        >>> found.jaccard[1] > found.chance[1]
        tensor(True)
    """
    with model.lock:
        mine = Look.at(model, inputs)
        size = min(200, sum(layer.numel() for layer in mine.scores) // 10) if size is None else size
        with torch.random.fork_rng():
            torch.manual_seed(derived_seed(seed, "untrained"))  # differs from the initial weights of trainings
            networks = {"untrained": type(model)(model.cfg).eval()} | {name: load(name) for name in others}
        found = [compare(mine, Look.at(network, inputs), name, size, seed) for name, network in networks.items()]
    jaccard, chance, agreement = (torch.tensor([row[i] for row in found]) for i in range(3))
    return Alikeness(tuple(networks), mine.hooks, size, jaccard, chance, agreement,
                     torch.tensor([row[3] for row in found]).reshape(len(found), -1))  # fmt: skip


@dataclass(frozen=True)
class Look:
    """Hidden layers, edge scores and greedy actions of a network on some states."""

    hooks: tuple[str, ...]
    hidden: tuple[Float[Tensor, "batch _unit _place"], ...]
    scores: tuple[Float[Tensor, "_node _port"], ...]
    action: Int[Tensor, " batch"]

    @classmethod
    def at(cls, model: HookedModel, states: Float[Tensor, "batch *observation"]) -> Look:
        """Measure a network; layers are in order from the observation to the action."""
        graph = model.graph()
        wires = find_path_to_action(graph)
        scores = attribute_edges(graph, states)
        hooks = tuple(graph.wires[name].writer for name in wires[1:])
        with torch.no_grad():
            held = model.cache(states, list(hooks)) if hooks else {}
            action = logits_of(model(states)).argmax(dim=1)
        hidden = tuple(held[hook].reshape(*held[hook].shape[:2], -1) for hook in hooks)
        return cls(hooks, hidden, tuple(scores[name].abs() for name in wires), action)


def find_path_to_action(graph: Graph) -> list[str]:
    """Return the wires from the observation to the action logits in order; raises if there are several paths."""
    port = find_action_sinks(graph)[0]
    way: list[str] = []
    while True:
        wires = graph.wires_into(port)
        if len(wires) != 1:
            raise InputError(
                f"{port} reads {len(wires)} layers. Only policies with a single chain of layers are comparable."
            )
        way.insert(0, wires[0].name)
        reads = graph.nodes[wires[0].writer].reads
        if not reads:
            return way
        port = reads[0]


def compare(mine: Look, other: Look, name: str, size: int, seed: int) -> tuple[float, float, float, list[float]]:
    """Return edge overlap, chance overlap, agreement and CKA of two networks."""
    if len(mine.hidden) != len(other.hidden) or mine.scores[0].shape[0] != other.scores[0].shape[0]:
        raise InputError(
            f"{name} has {len(other.hidden)} hidden layers and {other.scores[0].shape[0]} inputs, this model "
            f"{len(mine.hidden)} and {mine.scores[0].shape[0]}. Compare policies of one environment and depth."
        )
    pairs = [pair_units(a, b) for a, b in zip(mine.hidden, other.hidden, strict=True)]
    random, chances = np.random.default_rng(derived_seed(seed, "pairing", name)), []
    for _ in range(DRAWS):
        shuffled = [random.permutation(pair) for pair in pairs]
        chances.append(overlap(mine.scores, other.scores, shuffled, size))
    agreement = float((mine.action == other.action).double().mean())
    layers = [linear_cka(a.flatten(1), b.flatten(1)) for a, b in zip(mine.hidden, other.hidden, strict=True)]
    return overlap(mine.scores, other.scores, pairs, size), float(np.mean(chances)), agreement, layers


def pair_units(mine: Float[Tensor, "batch _unit _place"], other: Float[Tensor, "batch _unit _place"]) -> np.ndarray:
    """Return for each unit of the other layer the index of its partner, -1 if there is none.

    The pairing is one to one and maximizes the sum of absolute correlations.
    """
    a, b = (rearrange(x, "batch unit place -> unit (batch place)").double() for x in (mine, other))
    a, b = ((x - x.mean(dim=1, keepdim=True)) for x in (a, b))
    a, b = (x / x.norm(dim=1, keepdim=True).clamp(min=1e-12) for x in (a, b))
    here, there = linear_sum_assignment((a @ b.T).abs().numpy(), maximize=True)
    pair = np.full(len(b), -1)
    pair[there] = here
    return pair


def overlap(
    mine: tuple[Float[Tensor, "_node _port"], ...],
    other: tuple[Float[Tensor, "_node _port"], ...],
    pairs: list[np.ndarray],
    size: int,
) -> float:
    """Compute the Jaccard index of the `size` strongest edges, with the other's units renamed by `pairs`."""
    ends = [np.arange(mine[0].shape[0]), *pairs, np.arange(mine[-1].shape[1])]
    own, theirs = strongest_edges(mine, size), strongest_edges(other, size)
    renamed = {(layer, int(ends[layer][i]), int(ends[layer + 1][j])) for layer, i, j in theirs}
    both = len(own & {edge for edge in renamed if min(edge) >= 0})
    return both / (len(own) + len(theirs) - both)


def strongest_edges(scores: tuple[Float[Tensor, "_node _port"], ...], size: int) -> set[tuple[int, int, int]]:
    """Return the strongest edges as (layer, node, port)."""
    flat = torch.cat([layer.flatten() for layer in scores])
    if not 1 <= size <= len(flat):
        raise InputError(f"size {size} is out of range. Choose 1 to {len(flat)} edges.")
    starts = np.cumsum([0, *(layer.numel() for layer in scores)])
    found = set()
    for place in flat.topk(size).indices.tolist():
        layer = int(np.searchsorted(starts, place, side="right")) - 1
        found.add((layer, *divmod(place - int(starts[layer]), scores[layer].shape[1])))
    return found


def linear_cka(x: Float[Tensor, "batch feature"], y: Float[Tensor, "batch other"]) -> float:
    """Compute linear centred kernel alignment (0 unrelated, 1 equal up to rotation and scale).

    References: Kornblith et al. 2019, equation 3.
    """
    x, y = ((z - z.mean(dim=0)).double() for z in (x, y))
    one, two = x @ x.T, y @ y.T
    return float((one * two).sum() / (one.norm() * two.norm()).clamp(min=1e-12))
