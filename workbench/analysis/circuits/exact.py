"""Exact edge patching: what cutting one edge really does, edge by edge."""

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
    """metric(edge cut) - metric(intact), batch mean, for each edge (0 for those not `chosen`; default: all).

    An edge that is cut carries the write in `other`. Costs one or two forward passes; for each node and each group of
    ports it leads to, the stages from the ports to the nodes they feed, for one run cuts the edges to all ports of a
    group; and for each edge what follows the node that reads it. Runs share batches as blocks.
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
    """The edges of a cut that were chosen."""
    return [place for place in cut.places(graph) if picked[cut.wire][place]]


@dataclass(frozen=True)
class Effects:
    """What single edges do to the metric of a run that is kept."""

    graph: Graph
    clean: CleanRun
    metric: Metric
    intact: Float[Tensor, " batch"]

    @classmethod
    def of(cls, graph: Graph, inputs: Any, metric: Metric) -> Effects:
        """Of the intact model."""
        alone = [port for port in graph.ports if not one_fed(graph, port)]
        clean = CleanRun.of(graph.model, inputs, [*graph.nodes, *(port for port in alone if port not in graph.nodes)])
        return cls(graph, clean, metric, metric(clean.states[-1]))

    def room(self, port: str) -> int:
        """How many cuts into a group of ports fit in one run."""
        return Reading.of(self.graph, port, self.clean).room if one_fed(self.graph, port) else 64

    def compute_writes(self, port: str, added: Sequence[Tensor]) -> Float[Tensor, "block batch entry *rest"]:
        """The activation on which each cut acts, as the cut leaves it: the fed nodes' write, or what the ports read."""
        if one_fed(self.graph, port):
            (found,) = Reading.of(self.graph, port, self.clean).compute_writes(added).values()
            return found
        return self.graph.group(port, self.clean.activations[port]) + torch.stack(list(added))

    def of_edges(
        self, port: str, written: Float[Tensor, "block batch entry *rest"], edges: Sequence[tuple[int, Place]]
    ) -> Float[Tensor, " edge"]:
        """Mean effect of each edge (its block, and its place in its wire's mask)."""
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
    """These blocks, without a copy when they are neighbours."""
    first, last = picked[0], picked[-1] + 1
    return x[first:last] if list(picked) == list(range(first, last)) else x[list(picked)]


def one_fed(graph: Graph, port: str) -> str | None:
    """The only group of nodes that a group of ports feeds."""
    fed = [hook for hook, group in graph.nodes.items() if port in group.reads]
    return fed[0] if len(fed) == 1 else None


def own_entries(
    graph: Graph, port: str, hook: str, clean: Tensor, places: Sequence[Place]
) -> Bool[Tensor, "edge 1 entry *rest"] | None:
    """True where an edge into a port acts at `hook`: at the entries that the port feeds, at the positions that hear it.

    None when that is everywhere.
    """
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
