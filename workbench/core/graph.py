"""One equation for circuits: what a port reads is a constant plus what earlier nodes wrote, linearly carried.

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
from itertools import product
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from workbench.core.errors import ConfigError, InputError, ShapeError, UnknownNameError
from workbench.core.hooked import Handler, HookedModel
from workbench.core.sites import Site

Write = Float[Tensor, "batch node *shape"]
Read = Float[Tensor, "batch port *shape"]
Mask = Float[Tensor, "node port"]
Carry = Callable[[Tensor, Tensor], Tensor]
"""From writes (batch, node, ...) and a mask (node, port) to what the ports read (batch, port, ...)."""


@dataclass(frozen=True)
class Nodes:
    """Nodes that write at one hook, one for each entry of `axis` (None: one node); `reads` are their ports' hooks.

    Node i is fed by port i of a group of equal axis length, and by the only port of a group without an axis.
    """

    hook: str
    axis: str | None
    reads: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ports:
    """Ports that read at one hook, one for each entry of `axis`; `constant()` broadcasts to (port, ...)."""

    hook: str
    axis: str | None
    constant: Callable[[], Tensor | float] = lambda: 0.0


@dataclass(frozen=True)
class Wire:
    """All edges from one group of nodes to one group of ports."""

    writer: str
    port: str
    carry: Carry

    @property
    def name(self) -> str:
        """`writer -> port`, the key of this wire's edges in masks and scores."""
        return f"{self.writer} -> {self.port}"


@dataclass(frozen=True)
class Edge:
    """One edge: the site that writes, the site that reads."""

    writer: Site
    port: Site

    def __str__(self) -> str:
        return f"{self.writer} -> {self.port}"


Masks = Mapping[str, Tensor]
"""For each wire's name, a number (or truth value) for each of its edges: (node, port)."""


class Graph:
    """The computation graph of one model: groups of nodes in firing order, groups of ports, wires."""

    def __init__(self, model: HookedModel, nodes: list[Nodes], ports: list[Ports], wires: list[Wire]) -> None:
        self.model = model
        self.nodes = {group.hook: group for group in nodes}
        self.ports = {group.hook: group for group in ports}
        self.wires = {wire.name: wire for wire in wires}
        info = model.trace()
        self.axes = {hook: info[hook].axes for hook in (*self.nodes, *self.ports)}
        self.size = {g.hook: 1 if g.axis is None else info[g.hook].size(g.axis) for g in (*nodes, *ports)}
        fed = {hook for group in nodes for hook in group.reads}
        self.sinks = tuple(hook for hook in self.ports if hook not in fed)
        self._check_order()

    def _check_order(self) -> None:
        """Every wire runs from an earlier hook to a later one, so the graph has no cycle."""
        order = {name: info.order for name, info in self.model.trace().items()}
        for wire in self.wires.values():
            if order[wire.writer] >= order[wire.port]:
                raise ConfigError(f"{wire.name} runs backwards: {wire.port} fires before {wire.writer}.")

    @property
    def n_edges(self) -> int:
        """Number of edges."""
        return sum(self.size[wire.writer] * self.size[wire.port] for wire in self.wires.values())

    def edges(self) -> Iterator[tuple[Edge, str, int, int]]:
        """Every edge with its wire's name and its place (node, port) in that wire's mask."""
        for wire in self.wires.values():
            for node, port in product(range(self.size[wire.writer]), range(self.size[wire.port])):
                yield Edge(self.site(wire.writer, node), self.site(wire.port, port)), wire.name, node, port

    def site(self, hook: str, entry: int) -> Site:
        """The site of one node or port."""
        axis = (self.nodes.get(hook) or self.ports[hook]).axis
        return Site(hook, {} if axis is None else {axis: entry})

    def find(self, edge: str) -> tuple[str, int, int]:
        """An edge's wire, node and port from its text `writer site -> port site`."""
        left, arrow, right = edge.partition("->")
        if not arrow:
            raise InputError(f"{edge!r} is not an edge. Write 'site -> site'.")
        writer, port = Site.parse(left).resolve(self.model), Site.parse(right).resolve(self.model)
        name = f"{writer.hook} -> {port.hook}"
        if name not in self.wires:
            raise UnknownNameError("edge between hooks", name, self.wires, where=f" in {type(self.model).__name__}")
        node, entry = (int(site.index.get(self._axis(site.hook), 0)) for site in (writer, port))  # type: ignore[arg-type]
        return name, node % self.size[writer.hook], entry % self.size[port.hook]

    def _axis(self, hook: str) -> str:
        return (self.nodes.get(hook) or self.ports[hook]).axis or ""

    def full(self, value: float) -> dict[str, Tensor]:
        """The same number on every edge."""
        return {
            wire.name: torch.full((self.size[wire.writer], self.size[wire.port]), value)
            for wire in self.wires.values()
        }

    def checked(self, masks: Masks) -> Masks:
        """The masks, when they are of this graph; one of another model raises."""
        for name, wire in self.wires.items():
            expected = (self.size[wire.writer], self.size[wire.port])
            if name not in masks or tuple(masks[name].shape) != expected:
                got = tuple(masks[name].shape) if name in masks else "nothing"
                raise ShapeError(
                    f"The mask has {got} for {name!r}, this model's graph has {expected}. "
                    "Was it made for another model? Trace the circuit again on this one."
                )
        return masks

    # Layout: the node or port axis comes second

    def group(self, hook: str, x: Tensor) -> Tensor:
        """An activation as (batch, node or port, ...)."""
        axis = self._axis(hook)
        return x.movedim(self.axes[hook].index(axis), 1) if axis else x[:, None]

    def ungroup(self, hook: str, x: Tensor) -> Tensor:
        """The inverse of `group`."""
        axis = self._axis(hook)
        return x.movedim(1, self.axes[hook].index(axis)) if axis else x[:, 0]

    # The equation

    @torch.no_grad()
    def writes(self, inputs: Any) -> dict[str, Tensor]:
        """What every node writes on `inputs`, by hook, in the hooks' own layout."""
        return self.model.cache(inputs, list(self.nodes))

    def explained(self, port: str, writes: Mapping[str, Tensor]) -> Tensor:
        """Right-hand side of the equation for a group of ports, in the hook's own layout."""
        total: Tensor | None = None
        for wire in self.wires_into(port):
            x = self.group(wire.writer, writes[wire.writer])
            carried = wire.carry(x, x.new_ones(self.size[wire.writer], self.size[wire.port]))
            total = carried if total is None else total + carried
        if total is None:
            raise ConfigError(f"No wire leads to {port!r}, so nothing explains what it reads.")
        return self.ungroup(port, total + self.ports[port].constant())

    def wires_into(self, port: str) -> list[Wire]:
        """Wires that end at a group of ports."""
        return [wire for wire in self.wires.values() if wire.port == port]

    @contextmanager
    def patched(self, other: Mapping[str, Tensor], cut: Masks) -> Iterator[HookedModel]:
        """The model with each cut edge carrying the write of another run; `cut` is 1 (or a weight) on cut edges.

        Adds T(other write - write) to what the port reads. The stream itself and all other ports stay as they are.
        """
        self.checked(cut)
        changes: dict[str, Tensor] = {}
        into = {port: [w for w in self.wires_into(port) if bool((cut[w.name] != 0).any())] for port in self.ports}
        needed = {wire.writer for wires in into.values() for wire in wires}

        def remember(hook: str, x: Tensor) -> Tensor:
            changes[hook] = self.group(hook, other[hook].to(x) - x)
            return x

        def read(port: str, x: Tensor) -> Tensor:
            for wire in into[port]:
                change = changes[wire.writer]
                x = x + self.ungroup(port, wire.carry(change, cut[wire.name].to(change)))
            return x

        handlers: dict[str, Handler] = {hook: partial(remember, hook) for hook in needed}
        for port, wires in into.items():
            if wires:
                first = handlers.get(port)
                handlers[port] = partial(_both, first, partial(read, port)) if first else partial(read, port)
        with self.model.routed(handlers):
            yield self.model

    # Circuits

    def pruned(self, keep: Masks) -> dict[str, Bool[Tensor, "node port"]]:
        """The kept edges that lie on a path from a source to a sink; the output is the same without the others."""
        kept = {name: mask.bool() for name, mask in self.checked(keep).items()}
        fed = self._fed(kept)
        useful, wanted = self._useful(kept)
        return {
            name: kept[name] & fed[wire.writer][:, None] & wanted[wire.port][None, :]
            for name, wire in self.wires.items()
        }

    def _fed(self, kept: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """For each group, which nodes hear from a source."""
        fed: dict[str, Tensor] = {}
        for hook, group in self.nodes.items():
            fed[hook] = torch.full((self.size[hook],), not group.reads)
            for port in group.reads:
                for wire in self.wires_into(port):
                    reached = (kept[wire.name] & fed[wire.writer][:, None]).any(dim=0)
                    fed[hook] = fed[hook] | reached
        return fed

    def _useful(self, kept: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """For each group, which nodes reach a sink; and for each group of ports, which lead to one."""
        wanted = {hook: torch.full((self.size[hook],), hook in self.sinks) for hook in self.ports}
        useful: dict[str, Tensor] = {}
        for hook, group in reversed(self.nodes.items()):
            useful[hook] = torch.zeros(self.size[hook], dtype=torch.bool)
            for wire in self.wires.values():
                if wire.writer == hook:
                    useful[hook] = useful[hook] | (kept[wire.name] & wanted[wire.port][None, :]).any(dim=1)
            for port in group.reads:
                same = self.size[port] == self.size[hook]
                wanted[port] = wanted[port] | (useful[hook] if same else useful[hook].any())
        return useful, wanted


def _both(first: Handler, second: Handler, x: Tensor) -> Tensor:
    return second(first(x))
