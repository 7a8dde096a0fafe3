"""Runs of the nodes behind a group of ports with edges cut and all other inputs clean, many edges per batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product

import torch
from jaxtyping import Float
from torch import Tensor

from workbench.analysis.circuits.blocks import CleanRun, repeat_blocks
from workbench.core.graph import Graph, Wire
from workbench.core.hooked import HookFn
from workbench.core.listeners import compose

Activations = Mapping[str, Tensor]
Place = tuple[int, ...]


@dataclass(frozen=True)
class Cut:
    """Edges from one node to all ports of a group, at one position or (None) at all.

    One run cuts them together, because each port feeds its own node.
    """

    wire: str
    node: int
    pos: int | None

    def places(self, graph: Graph) -> list[tuple[int, ...]]:
        """Return the edges as places in the wire's mask."""
        _, n_ports, *positions = graph.wiring.shape(self.wire)
        at = [range(n) for n in positions] if self.pos is None else [(self.pos,)]
        return [(self.node, *place) for place in product(range(n_ports), *at)]


def cuts_into(graph: Graph, port: str) -> list[Cut]:
    """List the cuts into a group of ports that need a run each.

    Ports of a group feed their own nodes and are cut together, as are positions that are read only where they are.
    """
    group = graph.wiring.ports[port]
    apart = group.positions is not None and group.sees != "same"
    places = range(group.positions or 0) if apart else (None,)
    wires = graph.wiring.into(port)
    return [Cut(wire, node, pos) for wire in wires for node in range(graph.wiring.shape(wire)[0]) for pos in places]


def sent_changes(graph: Graph, clean: Activations, other: Activations) -> dict[str, Tensor]:
    """Compute what every node's change adds to the stream, or the change itself if it has none; node axis second."""
    lifts = {wire.writer: wire.lift for wire in graph.wires.values()}
    changes = {hook: graph.group(hook, other[hook].to(x) - x) for hook, x in clean.items() if hook in graph.nodes}
    return {hook: lift(changes[hook]) if lift else changes[hook] for hook, lift in lifts.items()}


def carry_cut(graph: Graph, cut: Cut, sent: Activations) -> Float[Tensor, "batch port *rest"]:
    """Compute the change at the ports, the port axis second."""
    wire = graph.wires[cut.wire]
    shape = graph.wiring.shape(cut.wire)
    if wire.lift and cut.pos is None:
        return sent[wire.writer][:, cut.node, None].expand(-1, shape[1], *[-1] * (sent[wire.writer].ndim - 2))
    carry = Wire.along(wire.writer, wire.port, lambda write: write).carry if wire.lift else wire.carry
    mask = sent[wire.writer].new_zeros(shape)
    mask[cut.node if cut.pos is None else (cut.node, slice(None), cut.pos)] = 1
    return carry(sent[wire.writer], mask)


@dataclass(frozen=True)
class Reading:
    """Stages from a group of ports to the nodes they feed (`fed`), and all nodes that write there (`between`)."""

    graph: Graph
    port: str
    fed: list[str]
    between: list[str]
    clean: CleanRun

    @classmethod
    def of(cls, graph: Graph, port: str, clean: CleanRun) -> Reading:
        """Find the nodes that these ports feed, in firing order."""
        order = {hook: info.order for hook, info in graph.model.trace().items()}
        fed = [hook for hook, group in graph.nodes.items() if port in group.reads]
        between = [hook for hook in graph.nodes if fed and order[port] <= order[hook] <= order[fed[-1]]]
        return cls(graph, port, fed, between, clean)

    @property
    def room(self) -> int:
        """Return the number of blocks that fit in one run."""
        model = self.graph.model
        first, last = model.stage_of(self.port), model.stage_of(self.fed[-1])
        return self.clean.room(first, last, on_request=model.hook_dict[self.port].displaces)

    def compute_changes(
        self, added: Sequence[Float[Tensor, "batch port *rest"]]
    ) -> dict[str, Float[Tensor, "block batch ..."]]:
        """Compute the change of the fed nodes' writes when `added` is added at the ports; axes block, batch, node."""
        clean = self.clean.activations
        return {hook: x - self.graph.group(hook, clean[hook]) for hook, x in self.compute_writes(added).items()}

    def compute_writes(
        self, added: Sequence[Float[Tensor, "batch port *rest"]]
    ) -> dict[str, Float[Tensor, "block batch ..."]]:
        """Compute the fed nodes' writes when `added` is added at the ports; axes block, batch, node."""
        graph, model, blocks, writes = self.graph, self.graph.model, len(added), {}
        more = graph.ungroup(self.port, torch.cat(list(added)))

        def write(hook: str, x: Tensor) -> Tensor:
            writes[hook] = x
            return repeat_blocks(self.clean.activations[hook], blocks)  # keeps the change off any other path

        def read(x: Tensor) -> Tensor:
            return x + more

        handlers: dict[str, HookFn] = {hook: partial(write, hook) for hook in self.between}
        handlers[self.port] = compose(read, handlers[self.port]) if self.port in handlers else read
        first, last = model.stage_of(self.port), model.stage_of(self.fed[-1])
        with model.attach(handlers):
            model.run_stages(repeat_blocks(self.clean.states[first], blocks), first, last + 1)
        return {hook: graph.group(hook, writes[hook]).unflatten(0, (blocks, -1)) for hook in self.fed}
