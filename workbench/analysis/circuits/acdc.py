"""Automatic circuit discovery: edges are cut one after another, from the output back, and stay cut if that is cheap."""

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
"""Edges that are cut together at first and at most, in the hope that all may go: those after one that stays are tried
in vain."""


@dataclass(frozen=True)
class Discovery:
    """What is left after every edge was tried: `kept` edges and, for each of them, how much cutting it cost.

    `increase` is the distance from the model with the edge cut minus that without, in the metric's units (0 for edges
    that went); `runs` what the search cost, in forward passes of the same batch.
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
    """The circuit that ACDC keeps (Conmy et al. 2023, algorithm 1): same edges, same order, fewer runs.

    Ports are taken from the last to the first, and at each the writers from the last to the first. An edge stays cut
    when that moves the circuit away from the model by less than `threshold` times the distance with all edges cut. The
    distance is the mean over examples of |metric - metric of the model|, so with the metric kl it is the paper's.

    When a port's turn comes, all that precedes it is still as in the clean run, so a run starts there. Edges into a
    node that no kept edge leaves go without a run, and so do those whose writer writes the same in both runs. Several
    cuts are tried in one batch, each on top of those before it; the first that costs too much is kept, and the next try
    starts behind it. Costs, for each other edge, what follows its port, and as much again for tries that were in vain,
    three at most for each edge that is kept.
    """
    if not threshold > 0:
        raise InputError(f"The threshold is a share of the distance when all edges are cut, above 0; not {threshold}.")
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
    """The circuit on its way: which edges are cut by now, and what the ports after them have to carry."""

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
        """At the start: nothing is cut."""
        clean = CleanRun.of(graph.model, inputs, graph.nodes)
        intact = metric(clean.states[-1])
        with graph.patch(other, graph.full(1.0)) as model:
            farthest = float((metric(model(inputs)) - intact).abs().mean())
        sent = sent_changes(graph, clean.activations, other)
        zeros = {name: mask.to(intact) for name, mask in graph.full(0.0).items()}
        increase = {name: mask.clone() for name, mask in zeros.items()}
        return cls(graph, clean, other, metric, intact, threshold * farthest, sent, zeros, increase)

    def ports(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Every single port, with its entry in its group (and its position), from the last to the first."""
        order = {hook: info.order for hook, info in self.graph.model.trace().items()}
        for hook in sorted(self.graph.ports, key=lambda port: -order[port]):
            group = self.graph.wiring.ports[hook]
            shape = (group.size,) if group.positions is None else (group.size, group.positions)
            for place in sorted(torch.cartesian_prod(*map(torch.arange, shape)).reshape(-1, len(shape)).tolist()):
                yield hook, tuple(place)

    def edges_into(self, port: str, entry: tuple[int, ...]) -> list[tuple[str, Place]]:
        """Edges (wire and place) into one port, from the last writer to the first."""
        wiring = self.graph.wiring
        last_first = reversed([w for hook in wiring.nodes for w in wiring.out_of(hook) if wiring.wires[w][1] == port])
        return [(wire, (node, *entry)) for wire in last_first for node in reversed(range(wiring.shape(wire)[0]))]

    def cut_cheap_edges(self, port: str, entry: tuple[int, ...], edges: Sequence[tuple[str, Place]]) -> None:
        """Tries the edges in order and cuts those whose loss is small."""
        heard = self.reaches_output(port, entry)
        changes = {edge: change for edge in edges if heard and (change := self.change_at_ports(port, *edge)).any()}
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
        """Whether the output may still hear what this port reads."""
        wiring = self.graph.wiring
        kept = {name: mask == 0 for name, mask in self.cut.items()}
        live = wiring.reaches_output({name: torch.atleast_3d(mask) for name, mask in kept.items()})[port]
        return bool(live[entry if len(entry) == 2 else (*entry, slice(None))].any())

    def room(self, port: str) -> int:
        """How many tries fit in one run."""
        model = self.graph.model
        return self.clean.room(model.stage_of(port), len(model.stages), on_request=model.hook_dict[port].displaces)

    def distances(self, port: str, changes: Sequence[Tensor]) -> list[float]:
        """Distance from the model when, besides what is cut, the first, the first two, ... of the changes are made."""
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
        """What the ports of a group read more when one edge into them is cut and all before is clean."""
        pos = place[2] if len(place) == 3 else None
        every = carry_cut(self.graph, Cut(wire, place[0], pos), self.sent)
        only = torch.zeros_like(every)
        group = self.graph.wiring.ports[port]
        mine = slice(place[1] * group.width, (place[1] + 1) * group.width)
        only[:, mine] = every[:, mine]
        return only

    def make_hooks(self, port: str, first: int, added: Float[Tensor, "block batch port *rest"]) -> dict[str, HookFn]:
        """What later ports read, from writers before this stage (clean) and after it (as they write now)."""
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
