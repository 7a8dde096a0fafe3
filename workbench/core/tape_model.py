"""Any module, opened by the tape of its forward pass: every value is a site, every node's reading a port."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from workbench.core.any_batch import BatchedTape, generalize
from workbench.core.constant_sources import expose_constants
from workbench.core.errors import InputError
from workbench.core.graph import Graph
from workbench.core.hooked import AxisHookPoint, HookedModel, State
from workbench.core.regions import Derivation, Reading, Region
from workbench.core.replay import Run, Values, between, bind, following, replay
from workbench.core.axes_of_tape import name_axes
from workbench.core.sites_of_tape import name_values
from workbench.core.tape import Ref, Tape, record
from workbench.core.unit_reads import finder

Call = Callable[[Any], Any]
Shapes = tuple[tuple[int, ...], ...]
"""Shapes of the tensors among inputs, rows left out."""


class Crossing(NamedTuple):
    """The state between two stages: the values that cross, rows first, and the shapes of the inputs they come from."""

    shapes: Shapes
    values: tuple[Tensor, ...]


@dataclass(frozen=True)
class Port:
    """Where a node, or the output, reads: the operands that follow from one value.

    `copies`: the value is read once for each unit of the node; None when all units share the port.
    """

    name: str
    value: Ref
    operands: tuple[Ref, ...]
    copies: int | None
    axis: int | None


@dataclass(frozen=True)
class Part:
    """A node with its ports; the output where `region` is None."""

    region: Region | None
    write: Ref
    ports: tuple[Port, ...]
    place: int
    """Number of the operation after which it has written."""


class TapeModel(HookedModel):
    """A module whose forward pass was recorded.

    Args:
        module: The network, put in evaluation mode.
        example: Valid inputs.
        call: Runs the module on inputs.
        take: Returns the first rows of the example, repeated as needed.
    """

    family = "module"
    details = ("head", "neuron", "block")

    def __init__(self, module: nn.Module, example: Any, call: Call, take: Callable[[Any, int], Any]) -> None:
        super().__init__()
        self.module = module.eval()
        self.call, self.take, self._example = call, take, example
        self.batched, constants = self._record(example)
        self.recordings = {shapes_of(example): self.batched}
        tape = self.batched.at(2)
        with torch.no_grad():
            values = replay(tape, tensors_of(take(example, 2)))
            self.derivation = Derivation(self.batched, values, constants)
            self.regions = self.derivation.regions()
        self.floating = frozenset(ref for ref in tape.shapes if values[ref].is_floating_point())
        self.values_at = name_values(self.batched, tape.returned, self.regions.live)
        self.names_of: dict[Ref, list[str]] = {}
        for name, ref in self.values_at.items():
            self.names_of.setdefault(ref, []).append(name)
        self.parts = self._find_parts()
        self.bounds = self._stage_bounds()
        self._programs: dict[tuple[int, int], Program] = {}
        self.unit_read = finder(self)
        self.axes_of = self._name_axes()
        points = {name: AxisHookPoint(" ".join(self.axes_of[ref])) for name, ref in self.values_at.items()}
        points |= {port.name: self._port_point(port) for part in self.parts for port in part.ports}
        n_stages = len(self.bounds) - 1
        self.join(points, [partial(self.run_stage, k) for k in range(n_stages)])
        self.eval()

    def example(self, batch: int = 2, seed: int = 0) -> Any:
        """Return the first `batch` rows of the example, repeated as needed."""
        return self.take(self._example, batch)

    def forward(self, inputs: State) -> Any:
        """Run the module itself where nothing is asked for, else the tape."""
        if self.router.handlers is None:
            return self.call(inputs)
        return super().forward(inputs)

    # What there is

    def graph(self, detail: str = "head") -> Graph:
        """Return the computation graph.

        Args:
            detail: "head" has a node for each head and channel, and one for each layer of neurons behind a norm;
                "neuron" has a node for each of these neurons; "block" has one node for each layer of any kind.
        """
        from workbench.core.derived_graph import derive_graph

        return derive_graph(self, detail)

    def site_of(self, ref: Ref) -> str:
        """Return the name of a value."""
        return self.names_of[ref][0]

    def _find_parts(self) -> list[Part]:
        parts = []
        tape = self.batched.pattern
        maker = tape.maker
        for region in self.regions.nodes:
            if region.exit not in self.names_of:
                name = f"{tape.operations[region.operations[-1]].module}:write"
                name = name if name not in self.values_at else f"{name}_{region.exit}"
                self.values_at[name] = region.exit
                self.names_of[region.exit] = [name]
            where = self.site_of(region.exit)
            self._name_operands(where, region)
            parts.append(Part(region, region.exit, self._ports(where, region.readings, region), maker[region.exit]))
        for i, reading in enumerate(self.regions.sinks):
            where = "output" if len(self.regions.sinks) == 1 else f"output:{i}"
            place = maker.get(reading.operand, -1)
            parts.append(Part(None, reading.operand, self._ports(where, (reading,), None), place))
        return sorted(parts, key=lambda part: (part.place, part.region is None))

    def _name_operands(self, where: str, region: Region) -> None:
        """Make the operands of attention sites, so that queries, keys and values can be seen and edited."""
        operands = list(dict.fromkeys(reading.operand for reading in region.readings))
        if is_attention(self.batched.pattern, region) and len(operands) == 3:
            for letter, operand in zip("qkv", operands, strict=True):
                self.values_at[f"{where}.{letter}"] = operand
                self.names_of.setdefault(operand, []).append(f"{where}.{letter}")

    def _ports(self, where: str, readings: Sequence[Reading], region: Region | None) -> tuple[Port, ...]:
        units = region.units if region is not None else None
        heads = units is not None and is_attention(self.batched.pattern, region)
        groups: dict[tuple[Ref, ...], list[Ref]] = {}
        for reading in readings:
            groups.setdefault((reading.value, reading.operand) if heads else (reading.value,), []).append(
                reading.operand
            )
        names = ["q_in", "k_in", "v_in"] if heads and len(groups) == 3 else [f"in_{i}" for i in range(len(groups))]
        names = ["in"] if len(groups) == 1 else names
        ports = []
        for name, ((value, *_), operands) in zip(names, groups.items(), strict=True):
            direct = operands == [value]
            shape = self.batched.pattern.shapes[value]
            if region is None:
                axis = 1 if direct and len(shape) == 2 else None
            else:
                axis = units.operand_axis[value] if direct and units is not None else None
            copies = units.size if heads and not direct and units is not None else None
            ports.append(Port(f"{where}.{name}", value, tuple(operands), copies, axis))
        if len(ports) > 1 and heads and len({port.value for port in ports}) == 1:
            together = tuple(operand for port in ports for operand in port.operands)
            ports.append(Port(f"{where}.in", ports[0].value, together, None, None))
        return tuple(ports)

    def _port_point(self, port: Port) -> AxisHookPoint:
        axes = list(self.axes_of[port.value])
        if port.copies is not None:
            axes.insert(1, "head")
        return AxisHookPoint(" ".join(axes), displaces=port.copies is not None, on_request=True)

    def _name_axes(self) -> dict[Ref, tuple[str, ...]]:
        """Return the names of all axes; those of units are called after what they are."""
        axes = {ref: list(names) for ref, names in name_axes(self.batched).items()}
        for region in self.regions.nodes:
            if (units := region.units) is None:
                continue
            heads = is_attention(self.batched.pattern, region)
            for ref, axis in ((region.exit, units.axis), *units.operand_axis.items()):
                name, axis = "head" if heads else "unit", self.batched.shown_axis(ref, axis)
                if name not in axes[ref] and (heads or axes[ref][axis].startswith("axis")):
                    axes[ref][axis] = name
                if heads and axes[ref][-1].startswith("axis"):
                    axes[ref][-1] = "d_head"
        return {ref: tuple(names) for ref, names in axes.items()}

    # Running

    def _stage_bounds(self) -> list[int]:
        """Return the numbers of operations at which the network can be cut: after each node has written."""
        n = len(self.batched.pattern.operations)
        places = {part.place + 1 for part in self.parts if part.region is not None}
        return [0, *sorted(place for place in places if 0 < place < n and self._can_cut(place)), n]

    def _can_cut(self, place: int) -> bool:
        return all(ref in self.batched.batch_axis for ref in self._crossing(place))

    def _crossing(self, place: int) -> list[Ref]:
        """Return the values made before a place that are read after it."""
        tape = self.batched.pattern
        made = {*tape.inputs, *(out for op in tape.operations[:place] for out in op.outputs if out is not None)}
        read = {ref for op in tape.operations[place:] for ref in op.reads} | set(tape.outputs)
        read |= {port.value for part in self.parts if part.place >= place for port in part.ports}
        read |= {ref for part in self.parts if part.place >= place for ref in self._context(part)}
        return sorted(ref for ref in made & read if ref in tape.shapes)

    def _context(self, part: Part) -> set[Ref]:
        """Return the values that a node reads beside its operands."""
        tape = self.batched.pattern
        starts = [port.value for port in part.ports]
        operations = between(tape, starts, [part.write])
        inner = {out for i in operations for out in tape.operations[i].outputs}
        return {ref for i in operations for ref in tape.operations[i].reads if ref not in inner and ref in tape.shapes}

    def run_stage(self, number: int, state: State) -> State:
        """Run one stage: a state is the inputs, or the values that cross into it, rows first."""
        start, stop = self.bounds[number], self.bounds[number + 1]
        values: Values = {}
        tape = self.batched.pattern
        if number == 0:
            leaves = tensors_of(state)
            self._use(shapes_of(state), state)
            values.update(zip(tape.inputs, leaves, strict=True))
            first = next(ref for ref in tape.inputs if ref in self.batched.batch_axis)
            rows = values[first].shape[self.batched.batch_axis[first]] // self.batched.per_row[first]
            for ref in tape.inputs:
                self._send(ref, values)
        else:
            self._use(state.shapes)
            rows = len(state.values[0])
            crossing = self._crossing_at(start)
            values.update((ref, self.batched.merge_rows(ref, x)) for ref, x in zip(crossing, state.values, strict=True))
        self.program(rows).run(values, start, stop)
        if stop < len(tape.operations):
            crossing = self._crossing_at(stop)
            shapes = next(shapes for shapes, tape in self.recordings.items() if tape is self.batched)
            return Crossing(shapes, tuple(self.batched.rows_first(ref, values[ref]) for ref in crossing))
        constants = self.batched.at(rows).constants
        return tree_map(
            lambda leaf: values.get(leaf, constants.get(leaf)) if isinstance(leaf, Ref) else leaf, tape.output
        )

    def _crossing_at(self, place: int) -> list[Ref]:
        if place not in self._crossings:
            self._crossings[place] = self._crossing(place)
        return self._crossings[place]

    @property
    def _crossings(self) -> dict[int, list[Ref]]:
        return self.__dict__.setdefault("_crossing_values", {})

    def program(self, rows: int) -> Program:
        """Return the tape for a number of rows, ready to run."""
        key = (id(self.batched), rows)
        if key not in self._programs:
            self._programs[key] = Program(self, rows)
        return self._programs[key]

    def _record(self, inputs: Any) -> tuple[BatchedTape, tuple[Ref, ...]]:
        """Return the tape of inputs of this shape, and the constants exposed on it."""
        try:
            one, other = (record(self.module, self.call, self.take(inputs, rows)) for rows in (2, 3))
        except RuntimeError:  # an `autograd.Function` of its own
            one, other = (record(self.module, self.call, self.take(inputs, rows), False) for rows in (2, 3))
        return expose_constants(generalize(one, 2, other, 3))

    def _use(self, shapes: Shapes, inputs: Any = None) -> None:
        """Go on with the tape of these shapes, recorded where they are new."""
        if shapes not in self.recordings:
            found, _ = self._record(inputs)
            first = self.batched.pattern
            work = [[(op.function, op.outputs) for op in tape.operations] for tape in (first, found.pattern)]
            if work[0] != work[1]:
                place = next((a for a, b in zip(*work, strict=False) if a != b), work[0][-1])
                raise InputError(
                    f"Inputs of shapes {shapes} make the network do other work than its example did, from "
                    f"{place[0]} on. Open it again with such an example."
                )
            self.recordings[shapes] = found
        self.batched = self.recordings[shapes]

    def _send(self, ref: Ref, values: Values) -> None:
        """Send a value through the hook points that bear its names."""
        for name in self.names_of.get(ref, ()):
            values[ref] = self._through(self.hook_dict[name], ref, values[ref])

    def _through(self, point: AxisHookPoint, ref: Ref, x: Tensor) -> Tensor:
        """Send a value through a hook point, rows first."""
        if ref not in self.batched.batch_axis or (self.batched.batch_axis[ref] == 0 and self.batched.per_row[ref] == 1):
            return point(x)
        return self.batched.merge_rows(ref, point(self.batched.rows_first(ref, x)))


class Program:
    """A tape for one number of rows, its arguments bound, with hooks and ports where they belong."""

    def __init__(self, model: TapeModel, rows: int) -> None:
        self.model, self.rows = model, rows
        self.tape: Tape = model.batched.at(rows)
        self.steps: list[Run] = [bind(op, self.tape.constants) for op in self.tape.operations]
        self.sites = [[o for o in op.outputs if o in model.names_of] for op in self.tape.operations]
        self.parts: dict[int, list[Part]] = {}
        for part in model.parts:
            self.parts.setdefault(part.place, []).append(part)

    def run(self, values: Values, start: int, stop: int) -> None:
        """Run some operations."""
        handlers = self.model.router.handlers
        if start == 0 and handlers is not None:
            self._run_parts(-1, values, handlers, sinks=True)
        for i in range(start, stop):
            self.steps[i](values)
            if handlers is not None:
                self._run_parts(i, values, handlers)
                for ref in self.sites[i]:
                    self.model._send(ref, values)
                self._run_parts(i, values, handlers, sinks=True)

    def _run_parts(self, place: int, values: Values, handlers: Mapping[str, Any], sinks: bool = False) -> None:
        for part in self.parts.get(place, ()):
            if (part.region is None) == sinks and any(port.name in handlers for port in part.ports):
                values[part.write] = self.compute(part, values)

    def compute(self, part: Part, values: Values) -> Tensor:
        """Return what a node writes when its ports read what their hook points return."""
        handlers, points = self.model.router.handlers or {}, self.model.hook_dict
        now: Values = {operand: values[operand] for port in part.ports for operand in port.operands}
        for port in part.ports:
            if port.name not in handlers:
                continue
            x = values[port.value]
            if port.copies is None:
                x = self.model._through(points[port.name], port.value, x)
                now.update(self.follow({port.value: x}, port.operands, values, self))
            else:
                now.update(self._by_unit(part, port, x, values))
        return self.follow(now, (part.write,), values, self)[part.write]

    def _by_unit(self, part: Part, port: Port, x: Tensor, values: Values) -> Values:
        """Return the operands when each unit reads a copy of the value of its own."""
        model, n = self.model, port.copies
        assert n is not None and part.region is not None and part.region.units is not None
        shown = model.batched.rows_first(port.value, x)
        copies = model.hook_dict[port.name](shown[:, None].expand(-1, n, *[-1] * (shown.ndim - 1)))
        axis = part.region.units.operand_axis[port.operands[0]]
        if len(port.operands) == 1 and (way := model.unit_read(port, axis)) is not None:
            return {port.operands[0]: way.read(copies, values)}
        copies = copies.flatten(0, 1)
        many = model.program(self.rows * n)
        found = many.follow({port.value: model.batched.merge_rows(port.value, copies)}, port.operands, values, self, n)
        units, operands = part.region.units, {}
        for ref, y in found.items():
            axis = model.batched.shown_axis(ref, units.operand_axis[ref])
            apart = model.batched.rows_first(ref, y).unflatten(0, (self.rows, n)).movedim(axis + 1, 2)
            own = apart[:, torch.arange(n), torch.tensor(units.entries[ref])].movedim(1, axis)
            operands[ref] = model.batched.merge_rows(ref, own)
        return operands

    def follow(self, starts: Values, ends: tuple[Ref, ...], values: Values, outer: Program, copies: int = 1) -> Values:
        """Return the values that follow from others; what else is read comes from the run, once for each copy."""
        key = (tuple(starts), ends)
        cache = self.__dict__.setdefault("_between", {})
        if key not in cache:
            cache[key] = between(self.tape, starts, ends)
        now = dict(starts)
        for i in cache[key]:
            for ref in self.tape.operations[i].reads:
                if ref not in now and ref in values:
                    x = values[ref]
                    if copies > 1 and ref in self.model.batched.batch_axis:
                        x = self.model.batched.merge_rows(
                            ref, self.model.batched.rows_first(ref, x).repeat_interleave(copies, dim=0)
                        )
                    now[ref] = x
            self.steps[i](now)
        return {ref: now[ref] for ref in ends}


def tensors_of(inputs: Any) -> list[Tensor]:
    """Return the tensors among inputs."""
    return [leaf for leaf in tree_leaves(inputs) if isinstance(leaf, Tensor)]


def shapes_of(inputs: Any) -> Shapes:
    """Return the shapes of the tensors among inputs, rows left out."""
    return tuple(tuple(leaf.shape[1:]) for leaf in tensors_of(inputs))


def is_attention(tape: Tape, region: Region | None) -> bool:
    """Return whether a node computes attention: softmax between products, or one kernel for both."""
    names = {tape.operations[i].name for i in region.operations} if region is not None else set()
    return any("attention" in name for name in names) or {"_softmax", "bmm"} <= names
