"""Computation graph: what a port reads is a constant plus the sum of earlier writes, each carried by a linear map.

    read[port] = constant + sum over u of  T[u -> port]( write[u] )

Nodes lie in groups, one for each entry of an axis of a hook (the heads of a layer, the channels of a convolution);
so do ports. A wire joins a group of nodes to a group of ports and holds its transports as one function,
`carry(write, mask)`: what the ports read from the nodes through the edges of `mask` (nodes, ports). It is linear in
each argument, so everything follows from it by differentiation: an edge's attribution is the derivative with
respect to its entry of the mask, and patching a set of edges is `carry` of a difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import Any

import torch
from einops import einsum
from torch import Tensor

from workbench.core.errors import ConfigError
from workbench.core.hook_points import HookInfo
from workbench.core.hooked import HookedModel, HookFn
from workbench.core.wiring import Group, Masks, Sees, Wiring

Carry = Callable[[Tensor, Tensor], Tensor]
"""Maps writes (batch, node, ...) and a mask (node, port) to what the ports read (batch, port, ...)."""
Lift = Callable[[Tensor], Tensor]
GROUPED = ("channel", "unit", "feature", "d_mlp", "latent")
"""Axes whose adjacent entries may be grouped into one node."""


@dataclass(frozen=True)
class Nodes:
    """Nodes that write at one hook, one per entry of `axis` (None: one node). `reads` are the hooks of their ports.

    Node i is fed by port i of a group of equal axis length, and by the only port of a group without an axis.
    """

    hook: str
    axis: str | None
    reads: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reader:
    """Later hook through which ports act, so that their gradients follow from the gradient there.

    `pull` maps what the ports read (the activation at `stream`) and the gradient at `hook` to the gradient at each port
    (batch, port, ...). It saves a run with a copy of the stream for each port.
    """

    hook: str
    stream: str
    pull: Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Ports:
    """Ports that read at one hook, one for each entry of `axis`. `constant()` broadcasts to (port, ...).

    `sees`: positions of these ports on which a node at one position depends (see `Group`).
    """

    hook: str
    axis: str | None
    constant: Callable[[], Tensor | float] = lambda: 0.0
    sees: Sees = "same"
    reader: Reader | None = None


@dataclass(frozen=True)
class Wire:
    """All edges from one group of nodes to one group of ports.

    With a `lift`, every port of the group reads the same from a node: the lift of its write.
    """

    writer: str
    port: str
    carry: Carry
    lift: Lift | None = None

    @classmethod
    def along(cls, writer: str, port: str, lift: Lift) -> Wire:
        """Create edges along a stream, to which the nodes add the `lift` of their writes."""

        def carry(write: Tensor, mask: Tensor) -> Tensor:
            pos = "pos" if mask.ndim == 3 else ""
            lifted = lift(write)
            return einsum(lifted, mask.to(lifted), f"batch node {pos} ..., node port {pos} -> batch port {pos} ...")

        return cls(writer, port, carry, lift)

    @property
    def name(self) -> str:
        """Key of this wire in masks and scores: `writer -> port`."""
        return f"{self.writer} -> {self.port}"

    def grouped(self, n_nodes: int, n_ports: int, widths: tuple[int, int]) -> Wire:
        """Return the wire between groups of `widths` adjacent nodes and ports."""

        def carry(write: Tensor, mask: Tensor) -> Tensor:
            fine = mask.repeat_interleave(widths[0], dim=0)[:n_nodes]
            return self.carry(write, fine.repeat_interleave(widths[1], dim=1)[:, :n_ports])

        return self if widths == (1, 1) else Wire(self.writer, self.port, carry)


class Graph:
    """Computation graph of a model: groups of nodes in firing order, groups of ports, and wires.

    `width` adjacent channels, units or features make one node (0: all of a hook). With `kept` (inputs whose length is
    used) there is a node, a port and an edge for each token position.
    """

    def __init__(
        self,
        model: HookedModel,
        nodes: list[Nodes],
        ports: list[Ports],
        wires: list[Wire],
        width: int = 1,
        kept: Any = None,
    ) -> None:
        info = model.trace(kept)
        self.model = model
        self.nodes = {group.hook: group for group in sorted(nodes, key=lambda group: info[group.hook].order)}
        self.ports = {group.hook: group for group in ports}
        self.axes = {hook: info[hook].axes for hook in (*self.nodes, *self.ports)}
        self.wiring = Wiring(
            {g.hook: Group(**sizes(g, info[g.hook], width, kept), reads=g.reads) for g in self.nodes.values()},
            {g.hook: Group(**sizes(g, info[g.hook], width, kept), sees=g.sees) for g in ports},
            {wire.name: (wire.writer, wire.port) for wire in wires},
        )
        self.size = {g.hook: 1 if g.axis is None else info[g.hook].size(g.axis) for g in (*nodes, *ports)}
        widths = {hook: group.width for hook, group in (*self.wiring.nodes.items(), *self.wiring.ports.items())}
        self.wires = {
            w.name: w.grouped(self.size[w.writer], self.size[w.port], (widths[w.writer], widths[w.port])) for w in wires
        }
        self._check_order({name: hook.order for name, hook in info.items()})
        groups = {**self.wiring.nodes, **self.wiring.ports}
        if kept is not None and (stuck := next((hook for hook, g in groups.items() if g.positions is None), None)):
            raise ConfigError(f"{type(model).__name__} keeps no token positions: {stuck} has none. Leave them out.")

    def refine(self, width: int = 1, kept: Any = None) -> Graph:
        """Return the graph with nodes of `width` adjacent entries, or with the token positions of `kept`."""
        return Graph(self.model, [*self.nodes.values()], [*self.ports.values()], [*self.wires.values()], width, kept)

    def _check_order(self, order: Mapping[str, int]) -> None:
        """Check that every wire leads from an earlier hook to a later one, so the graph has no cycle."""
        inside = [(port, group.hook) for group in self.nodes.values() for port in group.reads if port != group.hook]
        for start, end in (*self.wiring.wires.values(), *inside):
            if order[start] >= order[end]:
                raise ConfigError(f"{start} -> {end} runs backwards: {end} does not fire after {start}.")

    @property
    def n_edges(self) -> int:
        """Total number of edges."""
        return self.wiring.n_edges

    @property
    def sinks(self) -> tuple[str, ...]:
        """Ports that feed no node, where the output is read."""
        return self.wiring.sinks

    def full(self, value: float) -> dict[str, Tensor]:
        """Return a mask with the same number on every edge."""
        return self.wiring.full(value)

    # Layout: the node or port axis comes second

    def _axis(self, hook: str) -> str:
        return (self.nodes.get(hook) or self.ports[hook]).axis or ""

    def group(self, hook: str, x: Tensor) -> Tensor:
        """Rearrange an activation to (batch, node or port, ...)."""
        axis = self._axis(hook)
        return x.movedim(self.axes[hook].index(axis), 1) if axis else x[:, None]

    def ungroup(self, hook: str, x: Tensor) -> Tensor:
        """Invert `group`."""
        axis = self._axis(hook)
        return x.movedim(1, self.axes[hook].index(axis)) if axis else x[:, 0]

    # The equation

    @torch.no_grad()
    def writes(self, inputs: Any) -> dict[str, Tensor]:
        """Compute what every node writes on inputs, by hook, in the layout of the hook."""
        return self.model.cache(inputs, list(self.nodes))

    def predict_reads(self, port: str, writes: Mapping[str, Tensor]) -> Tensor:
        """Compute the right-hand side of the equation for a group of ports, in the layout of the hook."""
        total: Tensor | None = None
        for wire in self.wires_into(port):
            x = self.group(wire.writer, writes[wire.writer])
            carried = wire.carry(x, x.new_ones(self.wiring.shape(wire.name)))
            total = carried if total is None else total + carried
        if total is None:
            raise ConfigError(f"No wire leads to {port!r}, so nothing explains what it reads.")
        return self.ungroup(port, total + self.ports[port].constant())

    def wires_into(self, port: str) -> list[Wire]:
        """Return the wires that end at a group of ports."""
        return [wire for wire in self.wires.values() if wire.port == port]

    @contextmanager
    def patch(self, other: Mapping[str, Tensor], cut: Masks) -> Iterator[HookedModel]:
        """Cut edges while the context lasts: each carries the write of another run.

        T(other write - write) times `cut` is added to what the port reads. The stream and all other ports are
        unchanged.

        Args:
            other: Writes of the other run by hook.
            cut: 1 on cut edges (or a weight), 0 on kept edges, by wire.
        """
        self.wiring.check(cut)
        changes: dict[str, Tensor] = {}
        into = {port: [w for w in self.wires_into(port) if matters(cut[w.name])] for port in self.ports}
        needed = {wire.writer for wires in into.values() for wire in wires}

        def remember(hook: str, x: Tensor) -> Tensor:
            changes[hook] = self.group(hook, other[hook].to(x) - x)
            return x

        def read(port: str, x: Tensor) -> Tensor:
            for wire in into[port]:
                change = changes[wire.writer]
                x = x + self.ungroup(port, wire.carry(change, cut[wire.name].to(change)))
            return x

        handlers: dict[str, HookFn] = {port: partial(read, port) for port, wires in into.items() if wires}
        for hook in needed:
            first = handlers.get(hook)
            handlers[hook] = partial(_both, first, partial(remember, hook)) if first else partial(remember, hook)
        with self.model.attach(handlers):
            yield self.model


def matters(cut: Tensor) -> bool:
    """Return whether a mask has a nonzero entry or requires a gradient."""
    return cut.requires_grad or bool((cut != 0).any())


def sizes(group: Nodes | Ports, info: HookInfo, width: int, kept: Any) -> dict[str, Any]:
    """Return the number of nodes or ports in a group, the entries of each, and the number of positions."""
    n = 1 if group.axis is None else info.size(group.axis)
    wide = (width or n) if group.axis in GROUPED else 1
    positions = info.size("pos") if kept is not None and "pos" in info.axes else None
    return {"axis": group.axis, "size": ceil(n / wide), "width": wide, "positions": positions}


def _both(first: HookFn, second: HookFn, x: Tensor) -> Tensor:
    return second(first(x))
