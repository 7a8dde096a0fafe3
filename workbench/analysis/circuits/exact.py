"""Exact edge patching: what cutting one edge really does, edge by edge."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from workbench.core.graph import Graph
from workbench.core.interventions import Intervention
from workbench.core.metrics import Metric
from workbench.core.progress import Progress, silent
from workbench.core.stages import sweep
from workbench.core.wiring import Masks


@torch.no_grad()
def patch_edges(
    graph: Graph,
    inputs: Any,
    other: Mapping[str, Tensor],
    metric: Metric,
    chosen: Masks | None = None,
    progress: Progress = silent,
) -> dict[str, Tensor]:
    """metric(edge cut) - metric(intact), batch mean, for each edge (0 for those not `chosen`; default: all).

    An edge that is cut carries the write in `other`. Costs one forward pass for each wire and, for each edge, the
    part of one that follows its port; edges into one group of ports share such runs as blocks of the batch.
    """
    picked = graph.wiring.full(1.0) if chosen is None else graph.wiring.checked(chosen)
    clean = graph.writes(inputs)
    total, done = sum(int(mask.bool().sum()) for mask in picked.values()), 0
    scores: dict[str, Tensor] = {}
    for name, wire in graph.wires.items():
        places = picked[name].nonzero().tolist()
        moved = graph.group(wire.writer, other[wire.writer].to(clean[wire.writer]) - clean[wire.writer])
        carried = carrier(graph, name, moved)
        cuts = [cut_edge(graph, name, tuple(place), carried) for place in places]
        values = sweep(graph.model, inputs, [[], *([cut] for cut in cuts)], metric).mean(dim=1)
        scores[name] = values.new_zeros(graph.wiring.shape(name))
        for place, value in zip(places, values[1:], strict=True):
            scores[name][tuple(place)] = value - values[0]
        done += len(places)
        progress(done, total)
    return scores


def carrier(graph: Graph, wire: str, moved: Tensor) -> Callable[[int], Tensor]:
    """What one node's change makes every port of a wire read; remembered, for the node's edges follow each other."""

    @lru_cache(maxsize=1)
    def carried(node: int) -> Tensor:
        mask = moved.new_zeros(graph.wiring.shape(wire))
        mask[node] = 1
        return graph.ungroup(graph.wires[wire].port, graph.wires[wire].carry(moved, mask))

    return carried


def cut_edge(graph: Graph, wire: str, place: tuple[int, ...], carried: Callable[[int], Tensor]) -> Intervention:
    """The port reads what the node's change carries, besides what it reads anyway."""
    edge = graph.wiring.edge(wire, *place)

    def edit(part: Tensor, axes: tuple[str, ...]) -> Tensor:
        return part + edge.port.select(carried(place[0]), axes)

    return Intervention(edge.port, edit, f"cut {edge.writer} ->")
