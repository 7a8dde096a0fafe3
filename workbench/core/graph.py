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
from typing import Any

import torch
from torch import Tensor

from workbench.core.errors import ConfigError
from workbench.core.hooked import Handler, HookedModel
from workbench.core.wiring import Group, Masks, Wiring

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


class Graph:
    """The computation graph of one model: groups of nodes in firing order, groups of ports, wires."""

    def __init__(self, model: HookedModel, nodes: list[Nodes], ports: list[Ports], wires: list[Wire]) -> None:
        info = model.trace()
        self.model = model
        self.nodes = {group.hook: group for group in sorted(nodes, key=lambda group: info[group.hook].order)}
        self.ports = {group.hook: group for group in ports}
        self.wires = {wire.name: wire for wire in wires}
        self.axes = {hook: info[hook].axes for hook in (*self.nodes, *self.ports)}
        self.size = {g.hook: 1 if g.axis is None else info[g.hook].size(g.axis) for g in (*nodes, *ports)}
        self.wiring = Wiring(
            {hook: Group(group.axis, self.size[hook], group.reads) for hook, group in self.nodes.items()},
            {hook: Group(group.axis, self.size[hook]) for hook, group in self.ports.items()},
            {name: (wire.writer, wire.port) for name, wire in self.wires.items()},
        )
        self._check_order({name: hook.order for name, hook in info.items()})

    def _check_order(self, order: Mapping[str, int]) -> None:
        """Everything runs from an earlier hook to a later one, so the graph has no cycle."""
        inside = [(port, group.hook) for group in self.nodes.values() for port in group.reads if port != group.hook]
        for start, end in (*self.wiring.wires.values(), *inside):
            if order[start] >= order[end]:
                raise ConfigError(f"{start} -> {end} runs backwards: {end} does not fire after {start}.")

    @property
    def n_edges(self) -> int:
        """Number of edges."""
        return self.wiring.n_edges

    @property
    def sinks(self) -> tuple[str, ...]:
        """Ports that feed no node: where the output is read."""
        return self.wiring.sinks

    def full(self, value: float) -> dict[str, Tensor]:
        """The same number on every edge."""
        return self.wiring.full(value)

    # Layout: the node or port axis comes second

    def _axis(self, hook: str) -> str:
        return (self.nodes.get(hook) or self.ports[hook]).axis or ""

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
        self.wiring.checked(cut)
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

        handlers: dict[str, Handler] = {port: partial(read, port) for port, wires in into.items() if wires}
        for hook in needed:
            first = handlers.get(hook)
            handlers[hook] = partial(_both, first, partial(remember, hook)) if first else partial(remember, hook)
        with self.model.routed(handlers):
            yield self.model


def _both(first: Handler, second: Handler, x: Tensor) -> Tensor:
    return second(first(x))
