"""Tracing a circuit: score every edge, keep the strongest, and measure what they keep of the behaviour."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from workbench.analysis.circuits.acdc import discover
from workbench.analysis.circuits.attribution import (
    attribute_edges,
    integrate_edges,
    other_writes,
    refuse_vanishing,
)
from workbench.analysis.circuits.circuit import Circuit
from workbench.analysis.circuits.edge_pruning import prune_edges
from workbench.analysis.circuits.exact import patch_edges
from workbench.analysis.circuits.faithfulness import Behaviour, cmd, cpr, log_sizes
from workbench.analysis.circuits.information_flow import information_flow
from workbench.analysis.circuits.local_exact import attribute_locally
from workbench.analysis.circuits.optimal_ablation import optimal_writes
from workbench.analysis.contrast import check_same_shape
from workbench.core.errors import UnknownNameError
from workbench.core.graph import Graph
from workbench.core.hooked import HookedModel
from workbench.core.metrics import Metric
from workbench.core.progress import Progress, silent
from workbench.core.random import generator
from workbench.core.ranges import NonNegativeFloat, NonNegativeInt, PositiveInt, check_fields
from workbench.core.registry import ANALYSES
from workbench.core.wiring import Masks

Scoring = Literal["eap", "eap_ig", "local", "exact", "acdc", "flow", "learned"]
Ablation = Literal["resample", "zero", "mean", "optimal"]


@dataclass(frozen=True)
class Tracing:
    """How a circuit is traced, and how fine its graph is.

    `method` scores the edges: "eap" (gradient at the clean run), "eap_ig" (gradient averaged on the way there from the
    corrupted run), "local" (the reading node is run, only what follows it estimated), "exact" (each edge cut in turn),
    "acdc" (edges cut on top of each other, from the output back; those that stay have their cost as score, all others
    0), "flow" (the share of what each port reads that came along, whatever the metric) or "learned" (the probability
    to be kept, trained with a mask on every edge). `ablation` says what a cut edge carries: "resample" the corrupted
    run's write, "mean" its mean over the corrupted batch, "zero" nothing, "optimal" a constant trained to do the least
    harm.
    `steps` is the number of gradients that "eap_ig" and "local" average. `threshold` is how much of the distance with
    all edges cut an edge may cost and still go ("acdc"). `detail` is one of the model's own ("head", "neuron" or
    "block" for a GPT), empty for its usual one. `group` puts so many neighbouring channels, units or features into one
    node, 0 all of a hook. `positions` keeps token positions apart: a node and an edge for each.
    """

    method: Scoring = "eap_ig"
    ablation: Ablation = "resample"
    steps: PositiveInt = 5
    threshold: NonNegativeFloat = 0.02
    detail: str = ""
    group: NonNegativeInt = 1
    positions: bool = False

    def __post_init__(self) -> None:
        check_fields(self)

    def graph(self, model: HookedModel, inputs: Any) -> Graph:
        """The model's graph, as fine as this says."""
        if self.detail and self.detail not in model.details:
            where = f" in the graph of {type(model).__name__}"
            raise UnknownNameError("detail", self.detail, model.details or ("",), where)
        graph = model.graph(self.detail) if self.detail else model.graph()  # type: ignore[call-arg]
        if self.group == 1 and not self.positions:
            return graph
        return graph.detailed(self.group, inputs if self.positions else None)

    def behaviour(self, model: HookedModel, inputs: Any, corrupted: Any, metric: Metric) -> Behaviour:
        """What is to be explained; raises when all edges cut do not change the metric."""
        graph = self.graph(model, inputs)
        if self.ablation == "optimal":
            other = optimal_writes(graph, inputs, corrupted, metric)
        else:
            other = other_writes(graph, corrupted, self.ablation)
        behaviour = Behaviour.of(graph, inputs, other, metric)
        assert behaviour.gap
        return behaviour


DRAWS = 3
"""Random circuits of each size, for comparison."""


@ANALYSES.register("circuit")
@torch.no_grad()
def trace_circuit(
    model: HookedModel,
    inputs: Any,
    corrupted: Any,
    metric: Metric,
    how: Tracing = Tracing(),
    seed: int = 0,
    progress: Progress = silent,
) -> Circuit:
    """Which edges carry the behaviour that tells the inputs from the corrupted ones, on any model with a graph.

    `how` says how edges are scored and how fine the graph is. Then only the strongest edges are kept, at about twelve
    sizes, and what is left of the metric is measured, beside random edges. Costs 1 forward and 1 forward-backward pass
    (eap), 2 and `steps` (eap_ig), these and parts of a forward pass for each node and port (local) or for each edge
    (exact, acdc), and about 50 forward passes for the curves.
    """
    check_same_shape(inputs, corrupted)
    with model.lock:
        behaviour = how.behaviour(model, inputs, corrupted, metric)
        graph = behaviour.graph
        scores = score_edges(behaviour, how, lambda done, total: progress(done, 2 * total))
        strengths = [graph.wiring.as_vector(scores).abs(), *random_strengths(graph.n_edges, seed)]
        curves = faithfulness_curves(behaviour, strengths, lambda done, total: progress(total + done, 2 * total))
    return assembled(behaviour, scores, curves, how, seed)


def assembled(behaviour: Behaviour, scores: Masks, curves: Tensor, how: Tracing, seed: int) -> Circuit:
    """The result; the first of the curves is the circuit's, the others those of random edges."""
    sizes, metric = log_sizes(behaviour.graph.n_edges), behaviour.metric
    return Circuit(
        wiring=behaviour.graph.wiring,
        scores=dict(scores),
        method=how.method,
        ablation=how.ablation,
        metric=getattr(metric, "__name__", type(metric).__name__),
        sizes=sizes,
        faithfulness=curves[0],
        random_faithfulness=curves[1:],
        cmd=cmd(sizes, curves[0]),
        cpr=cpr(sizes, curves[0]),
        random_cmd=sum(cmd(sizes, curve) for curve in curves[1:]) / DRAWS,
        clean=behaviour.clean,
        corrupted=behaviour.cut,
        n=len(behaviour.clean),
        seed=seed,
    )


def score_edges(behaviour: Behaviour, how: Tracing, progress: Progress = silent) -> dict[str, Tensor]:
    """metric(edge cut) - metric(intact) of every edge, estimated or exact; refuses an estimate that sees nothing."""
    scores = unchecked_scores(behaviour, how, progress)
    if how.method == "eap":
        refuse_vanishing(behaviour.graph, scores, behaviour.gap)
    return scores


def unchecked_scores(behaviour: Behaviour, how: Tracing, progress: Progress = silent) -> dict[str, Tensor]:
    """The same scores, whatever they are worth: of a single example, say, which may change nothing."""
    question = (behaviour.graph, behaviour.inputs, behaviour.other, behaviour.metric)
    return dict(SCORES[how.method](question, how, progress))


Question = tuple[Graph, Any, Mapping[str, Tensor], Metric]
SCORES: Mapping[str, Callable[[Question, Tracing, Progress], Masks]] = {
    "eap": lambda q, how, progress: attribute_edges(*q),
    "eap_ig": lambda q, how, progress: integrate_edges(*q, how.steps, progress),
    "local": lambda q, how, progress: attribute_locally(*q, steps=how.steps, progress=progress),
    "exact": lambda q, how, progress: patch_edges(*q, progress=progress),
    "acdc": lambda q, how, progress: discover(*q, how.threshold, progress).increase,
    "flow": lambda q, how, progress: information_flow(*q[:2], progress=progress),
    "learned": lambda q, how, progress: prune_edges(*q, progress=progress),
}
"""How each method scores every edge of (graph, inputs, other writes, metric)."""


def random_strengths(n_edges: int, seed: int) -> list[Float[Tensor, " edge"]]:
    """Random orders of the edges, to take circuits from as if they were scores."""
    random = generator(seed, "random circuits")
    return [torch.rand(n_edges, generator=random) for _ in range(DRAWS)]


def faithfulness_curves(
    behaviour: Behaviour, strengths: list[Tensor], progress: Progress = silent
) -> Float[Tensor, "order size"]:
    """Faithfulness of the strongest edges in each order, at each size."""
    wiring, sizes = behaviour.graph.wiring, log_sizes(behaviour.graph.n_edges).tolist()
    curves = torch.zeros(len(strengths), len(sizes))
    for done, index in enumerate(torch.cartesian_prod(*map(torch.arange, curves.shape)).tolist()):
        order, place = index
        curves[order, place] = behaviour.faithfulness(wiring.largest(strengths[order], sizes[place]))
        progress(done + 1, curves.numel())
    return curves
