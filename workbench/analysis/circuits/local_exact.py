"""Local-exact edge attribution: exact through the node that reads an edge, linear in the stages after it.

1. Measure the edges into sinks exactly.
2. Fit a linear slope from each node's write to the metric (`downstream.py`). By default the secant: gradients averaged
   on the line between both runs, corrected to match the measured effect of each node's whole change.
3. For each edge, run the node that reads it with the edge cut and everything else clean, and apply the slope to the
   change of its write. A saturated softmax or unit that reads the edge counts in full.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from workbench.analysis.circuits.blocks import CleanRun
from workbench.analysis.circuits.downstream import Downstream, fit_slopes, require_slopes
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
    """Estimate metric(edge cut) - metric(intact), exactly up to the write of the node that reads the edge.

    With the default secant the estimate agrees with replacing each node's whole write, and the metric may be a distance
    to the clean output.

    Args:
        graph: The model's graph.
        inputs: Clean inputs, batch first.
        other: What a cut edge carries, by hook of the node that writes.
        metric: Returns one number per example from the model's output.
        downstream: Slope after the reading node: "secant", "path" or "gradient" (see `fit_slopes`).
        steps: Number of gradients that "secant" and "path" average.
        progress: Called with the number of finished cuts and their total.

    Returns:
        The score of each edge by wire, averaged over the batch, in units of the metric.

    Raises:
        InputError: If the metric is not differentiable, or its gradient vanishes ("gradient" and "path").

    Cost: `steps` forward and backward passes; for each node the stages after it ("secant"); for each node and each
    later group of ports, the stages from the ports to the nodes they feed; for each edge into a sink, the stages after
    it.

    Example:
        >>> known = workbench.known_circuit("planted_vote")
        >>> scores = local_exact(known.graph, known.inputs, known.graph.writes(known.corrupted), known.metric)
        >>> known.auroc(scores, "resample")
        1.0
    """
    into_sinks = {name: mask * (graph.wires[name].port in graph.sinks) for name, mask in graph.full(1.0).items()}
    with graph.model.lock:
        clean = CleanRun.of(graph.model, inputs, graph.nodes)
        scores = exact(graph, inputs, other, metric, into_sinks)
        found = fit_slopes(graph, clean, other, metric, downstream, steps)
        if downstream != "secant":
            require_slopes(found, scores)
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
    """Add each block's effects (block, node, *pos) on the nodes that the ports feed to the scores of its edges."""
    for cut, effect in zip(cuts, effects, strict=True):
        n_ports = graph.wiring.shape(cut.wire)[1]
        through = effect if len(effect) == n_ports else effect.sum(dim=0, keepdim=True)
        if cut.pos is None:
            scores[cut.wire][cut.node] += through
        else:
            scores[cut.wire][cut.node, :, cut.pos] += through.sum(dim=-1)
