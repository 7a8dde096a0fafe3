"""Circuit tracing: score every edge, keep the strongest, and measure their faithfulness."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge
from jaxtyping import Float, Int
from torch import Tensor

from workbench.analysis.circuits.acdc import acdc
from workbench.analysis.circuits.attribution import (
    eap,
    eap_ig,
    other_writes,
    require_gradient,
)
from workbench.analysis.circuits.circuit import Circuit
from workbench.analysis.circuits.edge_pruning import learned_masks
from workbench.analysis.circuits.exact import exact
from workbench.analysis.circuits.faithfulness import Behaviour, Spacing, circuit_sizes, cmd, cpr
from workbench.analysis.circuits.information_flow import information_flow
from workbench.analysis.circuits.local_exact import local_exact
from workbench.analysis.circuits.optimal_ablation import optimal_writes
from workbench.analysis.circuits.resampling import cmd_interval, faithfulness_interval, random_cmd_interval
from workbench.analysis.contrast import check_same_shape
from workbench.core.errors import UnknownNameError
from workbench.core.graph import Graph
from workbench.core.hooked import HookedModel
from workbench.core.metrics import Metric, name_of
from workbench.core.progress import Progress, silent
from workbench.core.random import generator
from workbench.core.ranges import NonNegativeFloat, NonNegativeInt, PositiveInt, check_fields
from workbench.core.registry import ANALYSES
from workbench.core.wiring import Masks

Scoring = Literal["eap", "eap_ig", "local", "exact", "acdc", "flow", "learned"]
Ablation = Literal["resample", "zero", "mean", "optimal"]


@dataclass(frozen=True)
class CircuitConfig:
    """Scoring of edges, value of a cut edge, and granularity of the graph.

    Attributes:
        method: "eap" (gradient at the clean run), "eap_ig" (gradient averaged from the clean to the corrupted run),
            "local" (the reading node is run, the stages after it estimated), "exact" (each edge cut in turn), "acdc"
            (edges cut on top of each other, from the output to the input; the score of a kept edge is its cost), "flow"
            (the share of what each port reads, independent of the metric) or "learned" (the probability of keeping an
            edge, trained with a mask on every edge).
        ablation: What a cut edge carries: "resample" the corrupted run's write, "mean" its mean over the corrupted
            batch, "zero" nothing, "optimal" a constant trained to change the metric least.
        steps: Number of gradients that "eap_ig" and "local" average.
        threshold: Largest cost of a removed edge, as a share of the distance with all edges cut ("acdc").
        detail: Granularity of the graph, such as "head", "neuron" or "block" for a GPT. By default the model's usual.
        group: Number of adjacent channels, units or features per node; 0 puts all of a hook into one.
        positions: Use one node and edge per token position.
        sizes: Numbers of edges of the measured circuits: "usual", "log" (twelve, evenly spaced on a logarithmic scale)
            or "mib", the percentages of MIB's circuit track, at which CMD and CPR are comparable with its tables.
        draws: Number of random circuits of each size, for comparison.
    """

    method: Scoring = "eap_ig"
    ablation: Ablation = "resample"
    steps: PositiveInt = 5
    threshold: NonNegativeFloat = 0.02
    detail: str = ""
    group: NonNegativeInt = 1
    positions: bool = False
    sizes: Spacing = "usual"
    draws: Annotated[int, Ge(2)] = 10

    def __post_init__(self) -> None:
        check_fields(self)

    def graph(self, model: HookedModel, inputs: Any) -> Graph:
        """Return the model's graph at this granularity."""
        if self.detail and self.detail not in model.details:
            where = f" in the graph of {type(model).__name__}"
            raise UnknownNameError("detail", self.detail, model.details or ("",), where)
        graph = model.graph(self.detail) if self.detail else model.graph()  # type: ignore[call-arg]
        if self.group == 1 and not self.positions:
            return graph
        return graph.refine(self.group, inputs if self.positions else None)

    def behaviour(self, model: HookedModel, inputs: Any, corrupted: Any, metric: Metric) -> Behaviour:
        """Measure the behaviour to explain; raises InputError if cutting all edges does not change the metric."""
        graph = self.graph(model, inputs)
        if self.ablation == "optimal":
            other = optimal_writes(graph, inputs, corrupted, metric)
        else:
            other = other_writes(graph, corrupted, self.ablation)
        behaviour = Behaviour.of(graph, inputs, other, metric)
        assert behaviour.gap
        return behaviour


@ANALYSES.register("circuit")
@torch.no_grad()
def trace_circuit(
    model: HookedModel,
    inputs: Any,
    corrupted: Any,
    metric: Metric,
    how: CircuitConfig = CircuitConfig(),
    seed: int = 0,
    progress: Progress = silent,
) -> Circuit:
    """Find the edges that explain a difference in behaviour and measure their faithfulness.

    1. Score every edge of the model's graph with `how.method`.
    2. Keep the strongest edges at about fifteen sizes, from one edge to all of them.
    3. Run each circuit with all other edges cut, and compare it with random circuits of the same size.

    Args:
        model: Any model with a computation graph.
        inputs: Clean inputs, batch first.
        corrupted: Inputs of the same shape that change the answer.
        metric: Returns one number per example from the model's output.
        how: Scoring of edges, value of a cut edge, and granularity of the graph.
        seed: Seeds the random circuits and the intervals.
        progress: Called with the number of finished steps and their total.

    Returns:
        A `Circuit`: scores (in units of the metric), sizes, faithfulness curves, CMD and CPR.

    Raises:
        ShapeError: If `corrupted` differs from `inputs` in shape.
        InputError: If the examples share no effect that could be explained (see `metric_gap`), or the gradient
            vanishes ("eap").

    Cost: 1 forward and 1 forward-backward pass ("eap"), 2 and `steps` ("eap_ig"), these and parts of a forward pass for
    each node and port ("local") or for each edge ("exact", "acdc"); and 1 forward pass for each size of the circuit and
    of each random circuit.

    References: Syed et al. 2023; Hanna et al. 2024; Conmy et al. 2023; Mueller et al. 2025 (MIB).

    Example:
        >>> circuit = workbench.run("circuit", model="greater_than_gpt", method="eap", draws=2, inputs="test:0:16")
        >>> circuit.beats_random
        True
    """
    check_same_shape(inputs, corrupted)
    with model.lock:
        behaviour = how.behaviour(model, inputs, corrupted, metric)
        graph = behaviour.graph
        scores = score_edges(behaviour, how, lambda done, total: progress(done, 2 * total))
        strengths = [graph.wiring.as_vector(scores).abs(), *random_strengths(graph.n_edges, seed, how.draws)]
        sizes = circuit_sizes(how.sizes, graph.n_edges)
        kept = kept_metrics(behaviour, strengths, sizes, lambda done, total: progress(total + done, 2 * total))
    return assemble(behaviour, scores, kept, how, seed)


def assemble(
    behaviour: Behaviour, scores: Masks, kept: Float[Tensor, "order size batch"], how: CircuitConfig, seed: int
) -> Circuit:
    """Assemble the result. The first order of `kept` is that of the circuit, the others are random."""
    sizes, curves = circuit_sizes(how.sizes, behaviour.graph.n_edges), behaviour.share(kept)
    measured = behaviour, sizes, how.sizes, seed
    return Circuit(
        wiring=behaviour.graph.wiring,
        scores=dict(scores),
        method=how.method,
        ablation=how.ablation,
        metric=name_of(behaviour.metric),
        spacing=how.sizes,
        sizes=sizes,
        faithfulness=curves[0],
        faithfulness_interval=faithfulness_interval(kept[0], behaviour, seed).float(),
        random_faithfulness=curves[1:],
        cmd=float(cmd(sizes, curves[0], how.sizes)),
        cmd_interval=cmd_interval(kept[0], *measured),
        cpr=float(cpr(sizes, curves[0], how.sizes)),
        random_cmd=float(cmd(sizes, curves[1:], how.sizes).mean()),
        random_cmd_interval=random_cmd_interval(kept[1:], *measured),
        clean=behaviour.clean,
        corrupted=behaviour.cut,
        n=len(behaviour.clean),
        seed=seed,
    )


def score_edges(behaviour: Behaviour, how: CircuitConfig, progress: Progress = silent) -> dict[str, Tensor]:
    """Score every edge by metric(edge cut) - metric(intact); raises InputError if the gradient vanishes ("eap")."""
    scores = compute_scores(behaviour, how, progress)
    if how.method == "eap":
        require_gradient(behaviour.graph, scores, behaviour.gap)
    return scores


def compute_scores(behaviour: Behaviour, how: CircuitConfig, progress: Progress = silent) -> dict[str, Tensor]:
    """Score every edge without the check, such as on resampled examples whose metric may not change."""
    question = (behaviour.graph, behaviour.inputs, behaviour.other, behaviour.metric)
    return dict(SCORES[how.method](question, how, progress))


Question = tuple[Graph, Any, Mapping[str, Tensor], Metric]
SCORES: Mapping[str, Callable[[Question, CircuitConfig, Progress], Masks]] = {
    "eap": lambda q, how, progress: eap(*q),
    "eap_ig": lambda q, how, progress: eap_ig(*q, how.steps, progress),
    "local": lambda q, how, progress: local_exact(*q, steps=how.steps, progress=progress),
    "exact": lambda q, how, progress: exact(*q, progress=progress),
    "acdc": lambda q, how, progress: acdc(*q, how.threshold, progress).increase,
    "flow": lambda q, how, progress: information_flow(*q[:2], progress=progress),
    "learned": lambda q, how, progress: learned_masks(*q, progress=progress),
}
"""Scores every edge of (graph, inputs, other writes, metric), by method."""


def random_strengths(n_edges: int, seed: int, draws: int) -> list[Float[Tensor, " edge"]]:
    """Draw random scores, one set for each random circuit."""
    random = generator(seed, "random circuits")
    return [torch.rand(n_edges, generator=random) for _ in range(draws)]


def kept_metrics(
    behaviour: Behaviour, strengths: list[Tensor], sizes: Int[Tensor, " size"], progress: Progress = silent
) -> Float[Tensor, "order size batch"]:
    """Measure the metric of the circuits with the strongest edges of each order, at each size, on each example."""
    wiring, total = behaviour.graph.wiring, len(strengths) * len(sizes)
    kept = behaviour.clean.new_empty(len(strengths), len(sizes), len(behaviour.clean))
    for order, strength in enumerate(strengths):
        for place, size in enumerate(sizes.tolist()):
            kept[order, place] = behaviour.run(wiring.largest(strength, size))
            progress(order * len(sizes) + place + 1, total)
    return kept
