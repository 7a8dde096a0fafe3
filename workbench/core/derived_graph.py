"""The computation graph of a recorded network: its nodes, ports and the wires between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from einops import einsum
from torch import Tensor

from workbench.core.errors import ConfigError, UnknownNameError
from workbench.core.graph import Carry, Graph, Nodes, Ports, Reader, Wire
from workbench.core.ports import Part, Port
from workbench.core.tape import Ref
from workbench.core.tape_model import TapeModel
from workbench.core.transport import Segment, masked_weights

FEW = 64
"""Maximum number of nodes of one hook that are carried one by one along a stream; more are carried port by port."""


def derive_graph(model: TapeModel, detail: str = "head") -> Graph:
    """Return the graph of a recorded network; see `TapeModel.graph` for the details."""
    if detail not in model.details:
        raise UnknownNameError("detail", detail, model.details)
    nodes: dict[Ref, Nodes] = {}
    exits: dict[Ref, Ref] = {}
    for source in model.regions.sources:
        axis = source_axis(model, source) if detail != "block" else None
        exits[source], nodes[source] = source, Nodes(model.site_of(source), axis_name(model, source, axis))
    chosen: list[Port] = []
    for part in model.parts:
        ports = ports_at(part, detail)
        chosen += ports
        if part.region is not None:
            root = part.region.root
            exits[root] = part.region.exit
            axis = part.region.units.axis if part.region.units and has_units(part, detail) else None
            reads = tuple(port.name for port in ports)
            nodes[root] = Nodes(model.site_of(part.region.exit), axis_name(model, part.region.exit, axis), reads)
    groups, wires = [], []
    for port in chosen:
        axis = port_axis(model, port)
        groups.append(Ports(port.name, axis, partial(constant, model, port), reader=reader_of(model, port)))
        wires += [wire(model, nodes[root], exits[root], port, axis) for root in model.derivation.reaching(port.value)]
    return Graph(model, list(nodes.values()), groups, wires)


def reader_of(model: TapeModel, port: Port) -> Reader | None:
    """Return the `Reader` from the gradient at queries, keys or values to that at the copies of a stream."""
    if port.copies is None or len(port.operands) != 1 or port.value not in model.names.of:
        return None
    (operand,) = port.operands
    part = next(part for part in model.parts if port in part.ports)
    assert part.region is not None and part.region.units is not None
    way = model.unit_read(port, part.region.units.operand_axis[operand])
    return None if way is None else Reader(model.site_of(operand), model.site_of(port.value), way.pull)


def has_units(part: Part, detail: str) -> bool:
    """Return whether a node is split into units at a detail: neurons behind a norm only at "neuron"."""
    if detail == "head":
        return all(port.copies is not None or port.operands == (port.value,) for port in part.ports[:3])
    return detail == "neuron"


def ports_at(part: Part, detail: str) -> list[Port]:
    """Return the ports of a node at a detail: one per unit, or one for all."""
    apart = [port for port in part.ports if port.copies is not None or len(part.ports) < 4]
    whole = [port for port in part.ports if port.copies is None]
    if detail == "block" and part.region is not None:
        return [replace(port, axis=None) for port in (whole[-1:] if len(part.ports) == 4 else part.ports)]
    chosen = apart or whole
    if part.region is not None and not (part.region.units and has_units(part, detail)):
        return [replace(port, axis=None) for port in chosen]
    return chosen


def source_axis(model: TapeModel, source: Ref) -> int | None:
    """Return the axis of a source's units: the one that the next weights mix, if it is read without a norm."""
    shape = model.batched.pattern.shapes[source]
    if len(shape) == 3 or len(shape) < 2:
        return None
    return 1


def axis_name(model: TapeModel, ref: Ref, axis: int | None) -> str | None:
    """Return the name of an axis of a value."""
    return None if axis is None else model.hook_dict[model.site_of(ref)].axes[model.batched.shown_axis(ref, axis)]


def port_axis(model: TapeModel, port: Port) -> str | None:
    """Return the name of the axis of a group of ports."""
    axes = model.hook_dict[port.name].axes
    if port.copies is not None:
        return axes[1]
    return None if port.axis is None else axes[model.batched.shown_axis(port.value, port.axis)]


@torch.no_grad()
def constant(model: TapeModel, port: Port) -> Tensor:
    """Compute what the ports read if every node writes zero, (port, ...)."""
    graph_inputs = model.example(1)
    ports = [port.name]
    names = sorted({model.site_of(exit_of(model, root)) for root in model.derivation.reaching(port.value)})
    values = model.cache(graph_inputs, [*names, *ports])
    axis = None if port.axis is None else model.batched.shown_axis(port.value, port.axis)
    total = values[port.name]
    if port.copies is None:
        total = total[:, None] if axis is None else total.movedim(axis, 1)
    for root in model.derivation.reaching(port.value):
        start = exit_of(model, root)
        carried = Segment.between(model, start, port.value).carry(values[model.site_of(start)], 1)
        carried = carried[:, None] if axis is None else carried.movedim(axis, 1)
        total = total - carried
    return total[0]


def exit_of(model: TapeModel, root: Ref) -> Ref:
    """Return the value at which a node or source writes."""
    return next((region.exit for region in model.regions.nodes if region.root == root), root)


def wire(model: TapeModel, nodes: Nodes, start: Ref, port: Port, axis: str | None) -> Wire:
    """Return all edges from a group of nodes to a group of ports."""
    segment = Segment.between(model, start, port.value)
    node_axis = None if nodes.axis is None else model.hook_dict[nodes.hook].axes.index(nodes.axis)
    if port.copies is None and axis is not None:
        return Wire(nodes.hook, port.name, to_units(segment, node_axis, port))
    lift = along_stream(segment, node_axis)
    if node_axis is None or model.batched.shown_shape(start, 1)[node_axis] <= FEW:
        return Wire.along(nodes.hook, port.name, lift)
    return Wire(nodes.hook, port.name, port_by_port(segment, node_axis))


def whole(x: Tensor, axis: int | None) -> Tensor:
    """Return writes (batch, node, ...) in the layout of their hook."""
    return x[:, 0] if axis is None else x.movedim(1, axis)


def along_stream(segment: Segment, axis: int | None) -> Callable[[Tensor], Tensor]:
    """Compute what each node adds to the value that the ports read, (batch, node, ...)."""
    inputs = None if axis is None else inputs_of_units(segment, axis)

    def lift(write: Tensor) -> Tensor:
        rows, n = write.shape[:2]
        if axis is None:
            return segment.carry(whole(write, None), rows)[:, None]
        if inputs is not None:
            before = segment.part(whole(write, axis), True, rows).unflatten(0, (rows, -1))[..., inputs]
            product = einsum(before, segment.weight[inputs], "b p u r, u r m -> b u p m")
            return segment.part(product.flatten(0, 2), False, rows * n).unflatten(0, (rows, n))
        apart = write.new_zeros(rows, n, n, *write.shape[2:])
        index = torch.arange(n)
        apart[:, index, index] = write
        return segment.carry(whole(apart.flatten(0, 1), axis), rows * n).unflatten(0, (rows, n))

    return lift


@torch.no_grad()
def inputs_of_units(segment: Segment, axis: int) -> Tensor | None:
    """Return the rows of a matrix that each unit's write is multiplied with, (unit, row); None in other segments."""
    if segment.weighted is None or segment.weight.ndim != 2:
        return None
    size = segment.model.batched.shown_shape(segment.start, 1)[axis]
    writers = segment.writer_of_input(axis, size)
    if writers is None or len(writers.bincount(minlength=size).unique()) != 1:
        return None
    return writers.argsort(stable=True).reshape(size, -1)


def port_by_port(segment: Segment, axis: int | None) -> Carry:
    """Return the carry that sums the writes of the kept edges of each port first."""

    def carry(write: Tensor, mask: Tensor) -> Tensor:
        rows, ports = len(write), mask.shape[1]
        if mask.ndim == 3:
            raise ConfigError("Edges of single positions are not available for a recorded network.")
        masked = write[:, None] * mask.T.reshape(1, ports, -1, *[1] * (write.ndim - 2))
        return segment.carry(whole(masked.flatten(0, 1), axis), rows * ports).unflatten(0, (rows, ports))

    return carry


def to_units(segment: Segment, axis: int | None, port: Port) -> Carry:
    """Return the carry to ports that each read one entry of an axis."""
    assert port.axis is not None
    place = segment.model.batched.shown_axis(port.value, port.axis)
    fast = weights_by_edge(segment, axis, place)
    slow = port_by_port(segment, axis)

    def carry(write: Tensor, mask: Tensor) -> Tensor:
        rows = len(write)
        if fast is not None:
            writers, ports = fast
            weights = masked_weights(segment, writers, ports, mask)
            return segment.carry(whole(write, axis), rows, weights).movedim(place, 1)
        found = slow(write, mask).movedim(place + 1, 2)
        index = torch.arange(mask.shape[1])
        return found[:, index, index]

    return carry


def weights_by_edge(segment: Segment, axis: int | None, place: int) -> tuple[Tensor, Tensor] | None:
    """Return the node of each input and the port of each output of the weights, where the edges are their entries."""
    if segment.weighted is None:
        return None
    batched = segment.model.batched
    with torch.no_grad():
        size = 1 if axis is None else batched.shown_shape(segment.start, 1)[axis]
        writers = segment.writer_of_input(axis, size) if axis is not None else torch.zeros(len(segment.weight)).long()
        ports = segment.port_of_output(place, batched.shown_shape(segment.end, 1)[place])
    return None if writers is None or ports is None else (writers, ports)
