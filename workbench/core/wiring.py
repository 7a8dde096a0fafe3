"""Wiring of a computation graph without its model: groups of nodes and ports, edges, and masks of circuits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Literal

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from workbench.core.errors import ConfigError, InputError, ShapeError, UnknownNameError
from workbench.core.sites import Index, Site

Masks = Mapping[str, Tensor]
"""Number or truth value of each edge, (node, port) or (node, port, pos), by the name of the wire."""
Sees = Literal["same", "earlier", "all"]


@dataclass(frozen=True)
class Group:
    """Nodes that write, or ports that read, at one hook: one for each entry of `axis` (None: a single one).

    `reads` are the hooks of the ports that feed the nodes; nodes without any are sources. `width` adjacent entries of
    the axis make one node. `positions` is the number of token positions with a node each (None: one for all). `sees`
    are the positions of these ports on which a node depends: only its own ("same"), all up to it ("earlier") or all
    ("all").
    """

    axis: str | None
    size: int
    reads: tuple[str, ...] = ()
    width: int = 1
    positions: int | None = None
    sees: Sees = "same"


@dataclass(frozen=True)
class Edge:
    """Edge from the site that writes to the site that reads."""

    writer: Site
    port: Site

    def __str__(self) -> str:
        return f"{self.writer} -> {self.port}"


@dataclass(frozen=True)
class Wiring:
    """Groups of nodes in firing order, groups of ports, and the two hooks that each wire joins."""

    nodes: dict[str, Group]
    ports: dict[str, Group]
    wires: dict[str, tuple[str, str]]

    def __post_init__(self) -> None:
        """Check that node i is fed by port i of a group of equal size, or by the only port of its group."""
        for hook, group in self.nodes.items():
            for port in group.reads:
                if port not in self.ports or self.ports[port].size not in (1, group.size):
                    raise ConfigError(
                        f"{hook} has {group.size} nodes and cannot be fed by the ports of {port!r}. "
                        "Declare one port, or one for each node."
                    )

    @property
    def n_edges(self) -> int:
        """Total number of edges."""
        return sum(prod(self.shape(wire)) for wire in self.wires)

    @property
    def sinks(self) -> tuple[str, ...]:
        """Ports that feed no node, where the output is read."""
        fed = {port for group in self.nodes.values() for port in group.reads}
        return tuple(port for port in self.ports if port not in fed)

    @property
    def sources(self) -> tuple[str, ...]:
        """Nodes that read nothing, such as embeddings and inputs."""
        return tuple(hook for hook, group in self.nodes.items() if not group.reads)

    def shape(self, wire: str) -> tuple[int, ...]:
        """Return the numbers of nodes and ports of a wire, and of positions if there are any."""
        writer, port = self.wires[wire]
        sizes = (self.nodes[writer].size, self.ports[port].size)
        positions = self.ports[port].positions
        return sizes if positions is None else (*sizes, positions)

    def into(self, port: str) -> list[str]:
        """Return the names of the wires that end at a group of ports."""
        return [name for name, (_, end) in self.wires.items() if end == port]

    def out_of(self, node: str) -> list[str]:
        """Return the names of the wires that start at a group of nodes."""
        return [name for name, (start, _) in self.wires.items() if start == node]

    # Edges and their names

    def edge(self, wire: str, node: int, port: int, pos: int | None = None) -> Edge:
        """Return the edge at a place (node, port) or (node, port, pos) of a wire's mask."""
        writer, reader = self.wires[wire]
        return Edge(_site(writer, self.nodes[writer], node, pos), _site(reader, self.ports[reader], port, pos))

    def edges(self) -> Iterator[tuple[Edge, str, tuple[int, ...]]]:
        """Yield every edge with its wire's name and its place in that wire's mask."""
        for wire in self.wires:
            for place in product(*map(range, self.shape(wire))):
                yield self.edge(wire, *place), wire, place

    def names(self) -> list[tuple[str, str, str]]:
        """List writer and port of every edge as text, and its wire's name, in the order of `as_vector`.

        Unlike `edges`, each site is formatted once: there may be half a million edges between few sites.
        """
        named = []
        for wire, (writer, reader) in self.wires.items():
            positions = self.ports[reader].positions
            at = [None] if positions is None else range(positions)
            ends = ((writer, self.nodes[writer]), (reader, self.ports[reader]))
            written, read = ([[str(_site(h, g, i, pos)) for pos in at] for i in range(g.size)] for h, g in ends)
            pairs = (pair for node, port in product(written, read) for pair in zip(node, port, strict=True))
            named += [(node, port, wire) for node, port in pairs]
        return named

    def feeds(self) -> Iterator[tuple[str, str]]:
        """Yield every port with each node that it feeds, as text."""
        for hook, group in self.nodes.items():
            for port in group.reads:
                reader = self.ports[port]
                for node, here in product(range(group.size), range(group.positions or 1)):
                    entry = node if reader.size == group.size else 0
                    sources = {"same": [here], "earlier": range(here + 1), "all": range(reader.positions or 1)}
                    written = str(_site(hook, group, node, None if group.positions is None else here))
                    for there in [None] if reader.positions is None else sources[reader.sees]:
                        yield str(_site(port, reader, entry, there)), written

    def find(self, edge: str) -> tuple[str, tuple[int, ...]]:
        """Return the wire of an edge and its place in the mask, from its text `writer site -> port site`."""
        left, arrow, right = edge.partition("->")
        if not arrow:
            raise InputError(f"{edge!r} is not an edge. Write 'site -> site'.")
        writer, port = Site.parse(left), Site.parse(right)
        name = f"{writer.hook} -> {port.hook}"
        if name not in self.wires:
            raise UnknownNameError("edge between hooks", name, self.wires, where=" in this graph")
        ends = (_entry(writer, self.nodes[writer.hook]), _entry(port, self.ports[port.hook]))
        if ends[0][1:] != ends[1][1:]:
            raise InputError(f"{edge!r} joins two positions: a write is read where it was written. Give one position.")
        return name, (ends[0][0], *ends[1])

    # Masks

    def full(self, value: float) -> dict[str, Tensor]:
        """Return a mask with the same number on every edge."""
        return {wire: torch.full(self.shape(wire), value) for wire in self.wires}

    def check(self, masks: Masks) -> Masks:
        """Return the masks if their shapes match this graph; raises ShapeError otherwise."""
        for name in self.wires:
            if name not in masks or tuple(masks[name].shape) != self.shape(name):
                got = tuple(masks[name].shape) if name in masks else "nothing"
                raise ShapeError(
                    f"The mask has {got} for {name!r}, this model's graph has {self.shape(name)}. "
                    "Was it made for another model? Trace the circuit again on this one."
                )
        return masks

    def as_vector(self, masks: Masks) -> Shaped[Tensor, " edge"]:
        """Concatenate the entries of all edges, wire after wire."""
        return torch.cat([self.check(masks)[name].flatten() for name in self.wires])

    def as_masks(self, vector: Tensor) -> dict[str, Tensor]:
        """Invert `as_vector`."""
        shapes = [self.shape(name) for name in self.wires]
        parts = vector.split([prod(shape) for shape in shapes])
        return {name: part.reshape(shape) for name, part, shape in zip(self.wires, parts, shapes, strict=True)}

    def largest(self, values: Float[Tensor, " edge"], size: int) -> dict[str, Tensor]:
        """Return a mask of the `size` edges with the largest values; ties are broken by order."""
        keep = torch.zeros(self.n_edges, dtype=torch.bool)
        keep[values.argsort(descending=True, stable=True)[:size]] = True
        return self.as_masks(keep)

    # Pruning

    def prune(self, keep: Masks, counterfactual: bool = True) -> dict[str, Bool[Tensor, "_node _port *_pos"]]:
        """Remove kept edges that cannot change the output: those on no path to a sink.

        With `counterfactual`, also those on no path from a source. If cut edges carry the writes of one other run, a
        node that no source reaches writes the same as in that run. If they carry zeros or means it does not.
        """
        kept = {name: torch.atleast_3d(self.check(keep)[name].bool()) for name in self.wires}
        fed = self._reached(kept) if counterfactual else {h: torch.ones(1, 1).bool() for h in self.nodes}
        leads = self.reaches_output(kept)
        return {
            name: (kept[name] & fed[writer][:, None] & leads[port]).reshape(self.shape(name))
            for name, (writer, port) in self.wires.items()
        }

    def _reached(self, kept: Masks) -> dict[str, Bool[Tensor, "_node _pos"]]:
        """Return which nodes of each group are reachable from a source."""
        fed: dict[str, Tensor] = {}
        for hook, group in self.nodes.items():
            fed[hook] = torch.full((group.size, group.positions or 1), not group.reads)
            for port in group.reads:
                for wire in self.into(port):
                    reached = (kept[wire] & fed[self.wires[wire][0]][:, None]).any(dim=0)
                    fed[hook] |= _up_to(reached, self.ports[port].sees)
        return fed

    def reaches_output(self, kept: Masks) -> dict[str, Bool[Tensor, "_port _pos"]]:
        """Return which ports of each group reach a sink."""
        leads = {h: torch.full((group.size, group.positions or 1), h in self.sinks) for h, group in self.ports.items()}
        for hook, group in reversed(self.nodes.items()):
            useful = torch.zeros(group.size, group.positions or 1, dtype=torch.bool)
            for wire in self.out_of(hook):
                useful |= (kept[wire] & leads[self.wires[wire][1]]).any(dim=1)
            for port in group.reads:
                used = useful if self.ports[port].size == group.size else useful.any(dim=0, keepdim=True)
                leads[port] |= _up_to(used.flip(-1), self.ports[port].sees).flip(-1)
        return leads


def _up_to(here: Bool[Tensor, "_any _pos"], sees: Sees) -> Bool[Tensor, "_any _pos"]:
    """Return whether a position that each position sees is marked."""
    if sees == "same":
        return here
    return here.cumsum(dim=-1) > 0 if sees == "earlier" else here.any(dim=-1, keepdim=True)


def _site(hook: str, group: Group, entry: int, pos: int | None) -> Site:
    index: dict[str, Index] = {}
    if group.axis is not None:
        index[group.axis] = entry if group.width == 1 else slice(entry * group.width, (entry + 1) * group.width)
    return Site(hook, index if pos is None else {**index, "pos": pos})


def _entry(site: Site, group: Group) -> tuple[int, ...]:
    """Return the place of a site in its group, which it must index completely, and its position if there is one."""
    example = _site(site.hook, group, 0, None if group.positions is None else 0)
    if set(site.index) != set(example.index):
        raise InputError(f"{site} is not one end of an edge. Write it like {example}.")
    place = [_number(site, group)] if group.axis else [0]
    if group.positions is not None:
        site.check({"pos": group.positions})
        place.append(_whole(site, site.index["pos"], example) % group.positions)
    return tuple(place)


def _number(site: Site, group: Group) -> int:
    """Return the number of the node that a site indexes on the axis of its group."""
    index, example = site.index[str(group.axis)], _site(site.hook, group, 0, None)
    if group.width == 1:
        site.check({str(group.axis): group.size})
        return _whole(site, index, example) % group.size
    start = index.start if isinstance(index, slice) else None
    if not isinstance(start, int) or start % group.width or not 0 <= start // group.width < group.size:
        raise InputError(
            f"{site} is not one end of an edge: nodes are groups of {group.width}. Write it like {example}."
        )
    return start // group.width


def _whole(site: Site, index: Index, example: Site) -> int:
    """Return an index that must be a single entry."""
    if not isinstance(index, int):
        raise InputError(f"{site} is not one end of an edge. Write it like {example}.")
    return index
