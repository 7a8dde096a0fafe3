"""Local-exact edge attribution: the node that reads an edge is run, and only what follows that node is estimated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from workbench.analysis.circuits.blocks import CleanRun
from workbench.analysis.circuits.downstream import Downstream, refuse_flat, slopes
from workbench.analysis.circuits.exact import exact
from workbench.analysis.circuits.reading import Cut, Reading, carry_cut, cuts_into, sent_changes
from workbench.core.graph import Graph
from workbench.core.metrics import Metric
from workbench.core.progress import Progress, silent

Activations = Mapping[str, Tensor]


@torch.no_grad()
def local_exact(
    graph: Graph,
    inputs: Any,
    other: Activations,
    metric: Metric,
    downstream: Downstream = "secant",
    steps: int = 5,
    progress: Progress = silent,
) -> dict[str, Tensor]:
    """Estimate of metric(edge cut) - metric(intact), batch mean, exact as far as the write of the node that reads.

    That node is run with the edge cut, all else clean, so a saturated softmax or unit that reads the edge counts in
    full; what its new write does to the metric is a linear estimate (see `slopes`). Edges into sinks are patched
    exactly. By default the estimate agrees with patching each node whole, and a distance to the clean output is a
    metric like any other.

    Costs `steps` forward and backward passes; for each node the part of a forward pass that follows it (secant only);
    for each node and each later group of ports the stages from the ports to the nodes they feed, since one run cuts
    the edges to all ports of a group; for each edge into a sink what follows that.
    """
    into_sinks = {name: mask * (graph.wires[name].port in graph.sinks) for name, mask in graph.full(1.0).items()}
    with graph.model.lock:
        clean = CleanRun.of(graph.model, inputs, graph.nodes)
        scores = exact(graph, inputs, other, metric, into_sinks)
        found = slopes(graph, clean, other, metric, downstream, steps)
        if downstream != "secant":
            refuse_flat(found, scores)
        sent = sent_changes(graph, clean.activations, other)
        cuts = {port: cuts_into(graph, port) for port in graph.ports if port not in graph.sinks}
        done, total = 0, sum(map(len, cuts.values()))
        for port, all_cuts in cuts.items():
            reading = Reading.of(graph, port, clean)
            for start in range(0, len(all_cuts), room := reading.room):
                some = all_cuts[start : start + room]
                for hook, moved in reading.compute_changes([carry_cut(graph, cut, sent) for cut in some]).items():
                    add_effects(scores, graph, some, found[hook].effect(moved).mean(dim=1))
                progress(done := done + len(some), total)
    return scores


def add_effects(scores: dict[str, Tensor], graph: Graph, cuts: Sequence[Cut], effects: Tensor) -> None:
    """Adds each block's effects (block, node, *pos), through the nodes that the ports feed, to its edges' scores."""
    for cut, effect in zip(cuts, effects, strict=True):
        n_ports = graph.wiring.shape(cut.wire)[1]
        through = effect if len(effect) == n_ports else effect.sum(dim=0, keepdim=True)
        if cut.pos is None:
            scores[cut.wire][cut.node] += through
        else:
            scores[cut.wire][cut.node, :, cut.pos] += through.sum(dim=-1)
