"""Tracing a circuit: score every edge, keep the strongest, and measure what they keep of the behaviour."""

from __future__ import annotations

from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from workbench.analysis.circuits.attribution import (
    Replacement,
    attribute_edges,
    integrate_edges,
    other_writes,
    refuse_vanishing,
)
from workbench.analysis.circuits.circuit import Circuit
from workbench.analysis.circuits.exact import patch_edges
from workbench.analysis.circuits.faithfulness import Behaviour, cmd, cpr, log_sizes
from workbench.analysis.contrast import check_same_shape
from workbench.core.hooked import HookedModel
from workbench.core.metrics import Metric
from workbench.core.progress import Progress, silent
from workbench.core.random import generator
from workbench.core.registry import ANALYSES
from workbench.core.wiring import Masks

Scoring = Literal["eap", "eap_ig", "exact"]
DRAWS = 3
"""Random circuits of each size, for comparison."""


@ANALYSES.register("circuit")
@torch.no_grad()
def trace_circuit(
    model: HookedModel,
    inputs: Any,
    corrupted: Any,
    metric: Metric,
    method: Scoring = "eap_ig",
    ablation: Replacement = "resample",
    seed: int = 0,
    progress: Progress = silent,
) -> Circuit:
    """Which edges carry the behaviour that tells the inputs from the corrupted ones, on any model with a graph.

    `method` scores the edges: "eap" (gradient at the clean run), "eap_ig" (gradient averaged on the way there from
    the corrupted run) or "exact" (each edge cut in turn). `ablation` says what a cut edge carries: "resample" the
    corrupted run's write, "mean" its mean over the corrupted batch, "zero" nothing. Then only the strongest edges are
    kept, at about twelve sizes, and what is left of the metric is measured, beside random edges. Costs 1 forward and
    1 forward-backward pass (eap), 2 and 5 (eap_ig) or part of a forward pass for each edge (exact), and about 50
    forward passes for the curves.
    """
    check_same_shape(inputs, corrupted)
    with model.lock:
        graph = model.graph()
        behaviour = Behaviour.of(graph, inputs, other_writes(graph, corrupted, ablation), metric)
        assert behaviour.gap  # raises, before the long work, when there is nothing to explain
        scores = score_edges(behaviour, method, lambda done, total: progress(done, 2 * total))
        strengths = [graph.wiring.as_vector(scores).abs(), *random_strengths(graph.n_edges, seed)]
        curves = faithfulness_curves(behaviour, strengths, lambda done, total: progress(total + done, 2 * total))
    return assembled(behaviour, scores, curves, method, ablation)


def assembled(behaviour: Behaviour, scores: Masks, curves: Tensor, method: Scoring, ablation: Replacement) -> Circuit:
    """The result; the first of the curves is the circuit's, the others those of random edges."""
    sizes, metric = log_sizes(behaviour.graph.n_edges), behaviour.metric
    return Circuit(
        wiring=behaviour.graph.wiring,
        scores=dict(scores),
        method=method,
        ablation=ablation,
        metric=getattr(metric, "__name__", type(metric).__name__),
        sizes=sizes,
        faithfulness=curves[0],
        random_faithfulness=curves[1:],
        cmd=cmd(sizes, curves[0]),
        cpr=cpr(sizes, curves[0]),
        random_cmd=sum(cmd(sizes, curve) for curve in curves[1:]) / DRAWS,
        clean=behaviour.clean,
        corrupted=behaviour.cut,
    )


def score_edges(behaviour: Behaviour, method: Scoring, progress: Progress = silent) -> dict[str, Tensor]:
    """metric(edge cut) - metric(intact) of every edge, estimated or exact."""
    graph, inputs, other, metric = behaviour.graph, behaviour.inputs, behaviour.other, behaviour.metric
    if method == "exact":
        return patch_edges(graph, inputs, other, metric, progress=progress)
    if method == "eap_ig":
        return integrate_edges(graph, inputs, other, metric, progress=progress)
    scores = attribute_edges(graph, inputs, other, metric)
    refuse_vanishing(graph, scores, behaviour.gap)
    return scores


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
