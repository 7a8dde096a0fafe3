"""Automatic circuit discovery (ACDC; Conmy et al. 2023, algorithm 1) with the same result in fewer forward passes.

1. Take the ports from the last to the first, and at each port the writers from the last to the first.
2. Cut the edge. Keep the cut if the distance from the model grows by less than `threshold` times the distance with all
   edges cut.
3. Skip edges into nodes that no kept edge leaves, and edges that carry the same in both runs: their cut costs nothing.

Everything before a port is clean when its turn comes, so a run starts at the port's stage. Several cuts are tried in
one batch, each on top of those before it. The first one that costs too much is undone; the next try starts after it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from workbench.analysis.circuits.blocks import CleanRun, measure_blocks, repeat_blocks
from workbench.analysis.circuits.reading import Cut, Place, carry_cut, sent_changes
from workbench.core.errors import InputError
from workbench.core.graph import Graph, matters
from workbench.core.hooked import HookFn
from workbench.core.listeners import compose
from workbench.core.metrics import Metric
from workbench.core.progress import Progress, silent
from workbench.core.wiring import Masks

Activations = Mapping[str, Tensor]
TOGETHER = (1, 4)
"""Initial and maximum number of edges to cut in one batch. Cuts after the first one that is undone are wasted."""


@dataclass(frozen=True)
class Discovery:
    """Circuit found by ACDC.

    `increase` is the distance from the model with a kept edge cut minus that without, in the metric's units (0 for
    removed edges). `runs` is the cost of the search in forward passes of the same batch.
    """

    kept: Masks
    increase: Masks
    runs: float


@torch.no_grad()
def acdc(
    graph: Graph,
    inputs: Any,
    other: Activations,
    metric: Metric,
    threshold: float = 0.02,
    progress: Progress = silent,
) -> Discovery:
    """Remove edges one after another, from the output to the input, as long as the output hardly changes.

    Args:
        graph: The model's graph.
        inputs: Clean inputs, batch first.
        other: What a cut edge carries, by hook of the node that writes.
        metric: Returns one number per example from the model's output. The distance from the model is the mean over
            examples of |metric - metric of the model|, which is the paper's for the metric `KL`.
        threshold: Largest increase of the distance per removed edge, as a share of the distance with all edges cut.
        progress: Called with the number of finished edges and their total.

    Returns:
        A `Discovery`: the kept edges, and the increase of the distance when each of them is cut.

    Raises:
        InputError: If `threshold` is not positive.

    Cost: for each edge the stages after its port, and at most three times as much again for each kept edge.

    References: Conmy et al. 2023.

    Example:
        >>> known = workbench.known_circuit("planted_vote")
        >>> found = acdc(known.graph, known.inputs, known.graph.writes(known.corrupted), known.metric)
        >>> int(sum(mask.sum() for mask in found.kept.values())), known.graph.n_edges
        (9, 44)
    """
    if not threshold > 0:
        raise InputError(
            f"The threshold must be above 0 (a share of the distance with all edges cut), not {threshold}."
        )
    with graph.model.lock:
        search = Search.of(graph, inputs, other, metric, threshold)
        total, done = graph.n_edges, 0
        for port, entry in search.ports():
            edges = search.edges_into(port, entry)
            search.cut_cheap_edges(port, entry, edges)
            progress(done := done + len(edges), total)
    return Discovery({name: mask == 0 for name, mask in search.cut.items()}, search.increase, search.runs + 2)


@dataclass
class Search:
    """State of the search: the edges that are cut so far, and the distance from the model."""

    graph: Graph
    clean: CleanRun
    other: Activations
    metric: Metric
    intact: Float[Tensor, " batch"]
    allowed: float
    sent: Activations
    cut: dict[str, Tensor]
    increase: dict[str, Tensor]
    distance: float = 0.0
    runs: float = 0.0

    @classmethod
    def of(cls, graph: Graph, inputs: Any, other: Activations, metric: Metric, threshold: float) -> Search:
        """Start with no edge cut."""
        clean = CleanRun.of(graph.model, inputs, graph.nodes)
        intact = metric(clean.states[-1])
        with graph.patch(other, graph.full(1.0)) as model:
            farthest = float((metric(model(inputs)) - intact).abs().mean())
        sent = sent_changes(graph, clean.activations, other)
        zeros = {name: mask.to(intact) for name, mask in graph.full(0.0).items()}
        increase = {name: mask.clone() for name, mask in zeros.items()}
        return cls(graph, clean, other, metric, intact, threshold * farthest, sent, zeros, increase)

    def ports(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Yield every port, with its entry in its group (and its position), from the last to the first."""
        order = {hook: info.order for hook, info in self.graph.model.trace().items()}
        for hook in sorted(self.graph.ports, key=lambda port: -order[port]):
            group = self.graph.wiring.ports[hook]
            shape = (group.size,) if group.positions is None else (group.size, group.positions)
            for place in sorted(torch.cartesian_prod(*map(torch.arange, shape)).reshape(-1, len(shape)).tolist()):
                yield hook, tuple(place)

    def edges_into(self, port: str, entry: tuple[int, ...]) -> list[tuple[str, Place]]:
        """Return the edges (wire and place) into one port, from the last writer to the first."""
        wiring = self.graph.wiring
        last_first = reversed([w for hook in wiring.nodes for w in wiring.out_of(hook) if wiring.wires[w][1] == port])
        return [(wire, (node, *entry)) for wire in last_first for node in reversed(range(wiring.shape(wire)[0]))]

    def cut_cheap_edges(self, port: str, entry: tuple[int, ...], edges: Sequence[tuple[str, Place]]) -> None:
        """Try the edges in order and cut those whose increase of the distance is below the threshold."""
        reaches = self.reaches_output(port, entry)
        changes = {edge: change for edge in edges if reaches and (change := self.change_at_ports(port, *edge)).any()}
        for wire, place in edges:
            self.cut[wire][place] = float((wire, place) not in changes)
        start, together, edges = 0, TOGETHER[0], list(changes)
        while start < len(edges):
            some = edges[start : start + min(together, self.room(port))]
            distances = [self.distance, *self.distances(port, [changes[edge] for edge in some])]
            gone = next((k for k in range(len(some)) if distances[k + 1] - distances[k] >= self.allowed), len(some))
            for wire, place in some[:gone]:
                self.cut[wire][place] = 1
            self.distance = distances[gone]
            if gone < len(some):
                wire, place = some[gone]
                self.increase[wire][place] = distances[gone + 1] - distances[gone]
            start += min(gone + 1, len(some))
            together = min(2 * together, TOGETHER[1]) if gone == len(some) else TOGETHER[0]

    def reaches_output(self, port: str, entry: tuple[int, ...]) -> bool:
        """Return whether a path of kept edges leads from this port to the output."""
        wiring = self.graph.wiring
        kept = {name: mask == 0 for name, mask in self.cut.items()}
        live = wiring.reaches_output({name: torch.atleast_3d(mask) for name, mask in kept.items()})[port]
        return bool(live[entry if len(entry) == 2 else (*entry, slice(None))].any())

    def room(self, port: str) -> int:
        """Return the number of tries that fit in one run."""
        model = self.graph.model
        return self.clean.room(model.stage_of(port), len(model.stages), on_request=model.hook_dict[port].displaces)

    def distances(self, port: str, changes: Sequence[Tensor]) -> list[float]:
        """Measure the distance from the model after the first, the first two, ... of the changes, besides the cuts."""
        added, blocks = torch.stack(list(changes)).cumsum(dim=0), len(changes)
        first = self.graph.model.stage_of(port)
        with self.graph.model.attach(self.make_hooks(port, first, added)):
            output = self.graph.model.run_stages(
                repeat_blocks(self.clean.states[first], blocks), first, len(self.graph.model.stages)
            )
        self.runs += blocks * self.clean.share_from(first)
        values = measure_blocks(self.metric, output, blocks)
        return (values - self.intact).abs().mean(dim=1).tolist()

    def change_at_ports(self, port: str, wire: str, place: Place) -> Float[Tensor, "batch port *rest"]:
        """Compute the change at the ports of a group when one edge into them is cut and everything before is clean."""
        pos = place[2] if len(place) == 3 else None
        every = carry_cut(self.graph, Cut(wire, place[0], pos), self.sent)
        only = torch.zeros_like(every)
        group = self.graph.wiring.ports[port]
        mine = slice(place[1] * group.width, (place[1] + 1) * group.width)
        only[:, mine] = every[:, mine]
        return only

    def make_hooks(self, port: str, first: int, added: Float[Tensor, "block batch port *rest"]) -> dict[str, HookFn]:
        """Return hook functions that apply the cuts: writers before this stage are clean, later ones as they write."""
        graph, blocks = self.graph, len(added)
        into = {p: [w for w in graph.wires_into(p) if matters(self.cut[w.name])] for p in graph.ports}
        live: dict[str, Tensor] = {}

        def remember(hook: str, x: Tensor) -> Tensor:
            live[hook] = graph.group(hook, repeat_blocks(self.other[hook].to(x), blocks) - x)
            return x

        def change(hook: str) -> Tensor:
            if hook not in live:
                clean = self.clean.activations[hook]
                live[hook] = repeat_blocks(graph.group(hook, self.other[hook].to(clean) - clean), blocks)
            return live[hook]

        def read(at: str, x: Tensor) -> Tensor:
            more = added.flatten(0, 1) if at == port else None
            for wire in into[at]:
                carried_here = wire.carry(change(wire.writer), self.cut[wire.name])
                more = carried_here if more is None else more + carried_here
            return x if more is None else x + graph.ungroup(at, more)

        stage = graph.model.stage_of
        handlers: dict[str, HookFn] = {
            hook: partial(remember, hook)
            for hook in {wire.writer for wires in into.values() for wire in wires}
            if stage(hook) >= first
        }
        for at in {port, *(p for p, wires in into.items() if wires)}:
            handlers[at] = compose(partial(read, at), handlers[at]) if at in handlers else partial(read, at)
        return handlers
