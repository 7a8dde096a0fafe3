"""Exact edge patching: the measured effect of cutting each edge alone.

1. Run the clean inputs once and keep the state before each stage.
2. For each group of ports, carry the change of each writer to the ports and run the stages up to the nodes they feed.
   One run cuts the edges to all ports of a group, because each port feeds its own node.
3. For each edge, replace the entry of the node that reads it in the clean run, and run the stages after it.

Runs are combined as blocks of one batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from workbench.analysis.circuits.blocks import CleanRun
from workbench.analysis.circuits.reading import Cut, Place, Reading, carry_cut, cuts_into, sent_changes
from workbench.core.graph import Graph
from workbench.core.metrics import Metric
from workbench.core.progress import Progress, silent
from workbench.core.wiring import Masks


@torch.no_grad()
def exact(
    graph: Graph,
    inputs: Any,
    other: Mapping[str, Tensor],
    metric: Metric,
    chosen: Masks | None = None,
    progress: Progress = silent,
) -> dict[str, Tensor]:
    """Measure metric(edge cut) - metric(intact) for each edge by itself.

    Args:
        graph: The model's graph.
        inputs: Clean inputs, batch first.
        other: What a cut edge carries, by hook of the node that writes.
        metric: Returns one number per example from the model's output.
        chosen: Edges to measure, by wire; the others get 0. By default all.
        progress: Called with the number of finished edges and their total.

    Returns:
        The effect of each edge by wire, averaged over the batch, in units of the metric.

    Cost: 1 or 2 forward passes; for each node and each group of ports it leads to, the stages from the ports to the
    nodes they feed; for each edge, the stages after the node that reads it.

    References: Wang et al. 2023; Conmy et al. 2023.

    Example:
        >>> known = workbench.known_circuit("planted_vote")
        >>> effects = exact(known.graph, known.inputs, known.graph.writes(known.corrupted), known.metric)
        >>> known.auroc(effects, "resample")
        1.0
    """
    picked = graph.wiring.full(1.0) if chosen is None else graph.wiring.check(chosen)
    picked = {name: mask.bool() for name, mask in picked.items()}
    with graph.model.lock:
        effects = Effects.of(graph, inputs, metric)
        sent = sent_changes(graph, effects.clean.activations, other)
        scores = {name: effects.intact.new_zeros(graph.wiring.shape(name)) for name in graph.wires}
        total, done = sum(int(mask.sum()) for mask in picked.values()), 0
        for port in graph.ports:
            cuts = [cut for cut in cuts_into(graph, port) if chosen_places(graph, cut, picked)]
            for start in range(0, len(cuts), room := effects.room(port)):
                some = cuts[start : start + room]
                edges = [(i, at) for i, cut in enumerate(some) for at in chosen_places(graph, cut, picked)]
                written = effects.compute_writes(port, [carry_cut(graph, cut, sent) for cut in some])
                for (i, at), effect in zip(edges, effects.of_edges(port, written, edges), strict=True):
                    scores[some[i].wire][at] = effect
                progress(done := done + len(edges), total)
    return scores


def chosen_places(graph: Graph, cut: Cut, picked: Mapping[str, Tensor]) -> list[Place]:
    """Return the chosen edges of a cut."""
    return [place for place in cut.places(graph) if picked[cut.wire][place]]


@dataclass(frozen=True)
class Effects:
    """Effects of single edges on the metric of a clean run."""

    graph: Graph
    clean: CleanRun
    metric: Metric
    intact: Float[Tensor, " batch"]

    @classmethod
    def of(cls, graph: Graph, inputs: Any, metric: Metric) -> Effects:
        """Run the intact model."""
        alone = [port for port in graph.ports if not one_fed(graph, port)]
        clean = CleanRun.of(graph.model, inputs, [*graph.nodes, *(port for port in alone if port not in graph.nodes)])
        return cls(graph, clean, metric, metric(clean.states[-1]))

    def room(self, port: str) -> int:
        """Return the number of cuts into a group of ports that fit in one run."""
        return Reading.of(self.graph, port, self.clean).room if one_fed(self.graph, port) else 64

    def compute_writes(self, port: str, added: Sequence[Tensor]) -> Float[Tensor, "block batch entry *rest"]:
        """Compute the activation after each cut: the write of the nodes that read it, or what the ports read."""
        if one_fed(self.graph, port):
            (found,) = Reading.of(self.graph, port, self.clean).compute_writes(added).values()
            return found
        return self.graph.group(port, self.clean.activations[port]) + torch.stack(list(added))

    def of_edges(
        self, port: str, written: Float[Tensor, "block batch entry *rest"], edges: Sequence[tuple[int, Place]]
    ) -> Float[Tensor, " edge"]:
        """Measure the mean effect of each edge, given as its block and its place in its wire's mask."""
        graph, hook = self.graph, one_fed(self.graph, port) or port
        clean = graph.group(hook, self.clean.activations[hook])
        room = self.clean.room(graph.model.stage_of(hook), len(graph.model.stages))
        found = []
        for start in range(0, len(edges), room):
            some = edges[start : start + room]
            only = own_entries(graph, port, hook, clean, [place for _, place in some])
            cut = blocks_of(written, [block for block, _ in some])
            replaced = graph.ungroup(hook, (cut if only is None else torch.where(only, cut, clean)).flatten(0, 1))
            found.append((self.clean.measure(hook, replaced, len(some), self.metric) - self.intact).mean(dim=1))
        return torch.cat(found) if found else self.intact.new_zeros(0)


def blocks_of(x: Float[Tensor, "block *rest"], picked: Sequence[int]) -> Float[Tensor, "picked *rest"]:
    """Select blocks, without a copy if they are adjacent."""
    first, last = picked[0], picked[-1] + 1
    return x[first:last] if list(picked) == list(range(first, last)) else x[list(picked)]


def one_fed(graph: Graph, port: str) -> str | None:
    """Return the group of nodes that a group of ports feeds, or None if there are none or several."""
    fed = [hook for hook, group in graph.nodes.items() if port in group.reads]
    return fed[0] if len(fed) == 1 else None


def own_entries(
    graph: Graph, port: str, hook: str, clean: Tensor, places: Sequence[Place]
) -> Bool[Tensor, "edge 1 entry *rest"] | None:
    """Mark the entries (and positions) at `hook` that depend on the port of each edge; None if all of them do."""
    ports, shape = graph.wiring.ports[port], clean.shape[1:]
    if ports.size == 1 and (ports.positions is None or ports.sees != "same"):
        return None
    only = torch.zeros(len(places), *shape, dtype=torch.bool, device=clean.device)
    axes = [axis for axis in graph.axes[hook] if axis not in ("batch", graph._axis(hook))]
    for i, (_, entry, *pos) in enumerate(places):
        mine = slice(None) if ports.size == 1 else slice(entry * ports.width, (entry + 1) * ports.width)
        if pos and ports.sees == "same":
            only[i][(mine, *[slice(None)] * axes.index("pos"), pos[0])] = True
        else:
            only[i, mine] = True
    return only[:, None]
