"""Derive the nodes of a network's computation graph from the tape of one forward pass.

1. Sources are floating-point inputs and rows looked up in a table (embeddings). What depends on a source is live.
2. An operation that is not affine in the live values it reads (`affine.py`) computes inside a node; its operands are
   read there, and what it returns is written.
3. A node that one other node alone reads, through no weights, is part of that node: a written-out GELU, a product of
   gate and value, softmax between two products.
4. A node without units, such as a norm, that its readers read alone lies inside each reading: a head reads the stream
   through its norm.
5. A node has units where it computes each entry of an axis from that entry of what it reads: heads, channels, neurons.
   This is measured by changing one entry.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from workbench.core.affine import VIEWS, applies_weights, is_affine
from workbench.core.any_batch import BatchedTape
from workbench.core.replay import evaluate
from workbench.core.tape import Operation, Ref

LOOKUPS = ("embedding", "index", "index_select")
"""Operations that look up rows of a table."""


@dataclass(frozen=True)
class Reading:
    """One operand of a node.

    Attributes:
        value: Value that is read: a sum of earlier writes.
        operand: Value that enters the node: `value` itself unless nodes without units are in between.
    """

    value: Ref
    operand: Ref


@dataclass(frozen=True)
class Units:
    """Axis of a node's units: on what it writes, on each operand, and the operand's entry that each unit reads."""

    axis: int
    size: int
    operand_axis: dict[Ref, int]
    entries: dict[Ref, tuple[int, ...]]


@dataclass(frozen=True)
class Region:
    """Node: the operations inside it, its readings and its write.

    `root` is the result of its last operation, `exit` the same in a layout in which its units have an axis.
    """

    root: Ref
    operations: tuple[int, ...]
    readings: tuple[Reading, ...]
    exit: Ref
    units: Units | None


@dataclass(frozen=True)
class Regions:
    """All nodes in the order in which they write, the sources, and the values that the outputs read."""

    sources: tuple[Ref, ...]
    nodes: tuple[Region, ...]
    sinks: tuple[Reading, ...]
    live: frozenset[Ref]


class Derivation:
    """Nodes under construction. `values` are those of one run, used to measure which axes have units."""

    def __init__(self, batched: BatchedTape, values: Mapping[Ref, Tensor], constants: Iterable[Ref] = ()) -> None:
        self.tape, self.values = batched.at(batched.rows), values
        self.batch_axis, self.per_row = batched.batch_axis, batched.per_row
        self.maker, self.readers = self.tape.maker, self.tape.readers
        self.sources: list[Ref] = []
        self.live: set[Ref] = set()
        self.reach: dict[Ref, dict[Ref, bool]] = {}
        """For each live value, the sources and writes that reach it affinely, and whether through weights."""
        self.entries: dict[Ref, list[Ref]] = {}
        self.inner: dict[Ref, set[int]] = {}
        self.owner: dict[Ref, Ref] = {}
        """Node of each non-affine operation, both by the value that they return."""
        self.inside_nodes: set[int] = set()
        self._find_live(set(constants))
        self._trace_affine()
        self._merge()

    # 1. Sources

    def _find_live(self, constants: set[Ref]) -> None:
        for ref in self.tape.inputs:
            if self._floating(ref):
                self._add_source(ref)
        for op in self.tape.operations:
            outputs = [out for out in op.outputs if out is not None and self._floating(out)]
            if any(ref in self.live for ref in op.reads):
                self.live.update(outputs)
            elif any(out in constants for out in outputs) or (outputs and self._looks_up(op)):
                self._add_source(outputs[0])

    def _looks_up(self, op: Operation) -> bool:
        """Return whether an operation takes rows of a constant table."""
        return op.name in LOOKUPS and op.args[0] in self.tape.constants and self._floating(op.args[0])

    def _add_source(self, ref: Ref) -> None:
        self.sources.append(ref)
        self.live.add(ref)
        self.reach[ref] = {ref: False}

    def _floating(self, ref: Ref) -> bool:
        return self.values[ref].is_floating_point()

    # 2. What reaches each value affinely

    def _trace_affine(self) -> None:
        for i, op in enumerate(self.tape.operations):
            read = [ref for ref in dict.fromkeys(op.reads) if ref in self.live]
            outputs = [out for out in op.outputs if out in self.live and out not in self.reach]
            if not read or not outputs:
                continue
            beside = [ref for ref in op.reads if ref not in self.live]
            if is_affine(op, self.live) and all(ref in self.tape.constants for ref in beside):
                weights, reach = applies_weights(op, self.live), dict[Ref, bool]()
                for start, before in (item for ref in read for item in self.reach[ref].items()):
                    reach[start] = reach.get(start, False) or before or weights
            else:
                self.inside_nodes.add(i)
                for write in (out for out in outputs if out in self.readers or out in self.tape.outputs):
                    self.owner[write], self.inner[write] = write, {i}
                    self.entries[write] = list(dict.fromkeys(map(self._with_rows_apart, read)))
                    self.reach[write] = {write: False}
                continue
            self.reach.update(dict.fromkeys(outputs, reach))

    def _with_rows_apart(self, ref: Ref) -> Ref:
        """Return the value before its rows were merged with another axis (batch times head)."""
        while self.per_row.get(ref, 1) > 1 and (place := self.maker.get(ref)) is not None:
            op = self.tape.operations[place]
            if op.name not in VIEWS or op.args[0] not in self.live:
                break
            ref = op.args[0]
        return ref

    def node_of(self, start: Ref) -> Ref:
        """Return the node that a write belongs to now; a source is itself."""
        while start in self.owner and self.owner[start] != start:
            start = self.owner[start]
        return start

    def reaching(self, ref: Ref) -> dict[Ref, bool]:
        """Return the nodes and sources that reach a value, and whether through weights."""
        found: dict[Ref, bool] = {}
        for start, weights in self.reach[ref].items():
            node = self.node_of(start)
            found[node] = found.get(node, False) or weights
        return found

    @property
    def roots(self) -> list[Ref]:
        """The nodes, in the order in which they write."""
        return [write for write, owner in self.owner.items() if owner == write]

    def reads_of(self, node: Ref) -> tuple[list[tuple[Ref, Ref]], list[Ref]]:
        """Return the other nodes' entries, and the outputs, that a node reaches."""
        at_nodes = [(j, e) for j in self.roots if j != node for e in self.entries[j] if node in self.reaching(e)]
        return at_nodes, [ref for ref in self.tape.outputs if ref in self.live and node in self.reaching(ref)]

    # 3. Functions written out in several operations

    def _merge(self) -> None:
        """Put a node into its only reader while that adds no other reading."""
        changed = True
        while changed:
            changed = False
            for node in self.roots:
                at_nodes, at_outputs = self.reads_of(node)
                readers = {j for j, _ in at_nodes}
                if at_outputs or len(readers) != 1:
                    continue
                read, exits = {e for _, e in at_nodes}, self.exits(node)
                if all(self._factors(e, {*self.entries[node], *exits}) for e in read):
                    reader = readers.pop()
                    kept = [e for e in self.entries[reader] if e not in read]
                    self.entries[reader] = list(dict.fromkeys([*kept, *self.entries[node]]))
                    self.inner[reader] |= self.inner[node]
                    self.owner[node] = reader
                    changed = True

    def exits(self, node: Ref) -> set[Ref]:
        """Return what the operations of a node return."""
        return {out for i in self.inner[node] for out in self.tape.operations[i].outputs if out is not None}

    def _factors(self, ref: Ref, stops: set[Ref]) -> bool:
        """Return whether a value follows from `stops` alone, through affine operations without weights."""
        todo, seen = [ref], set[Ref]()
        while todo:
            value = todo.pop()
            if value in seen or value in stops or value not in self.live:
                continue
            seen.add(value)
            place = self.maker.get(value)
            if place is None or value in self.sources or place in self.inside_nodes:
                return False
            op = self.tape.operations[place]
            if applies_weights(op, self.live):
                return False
            todo += op.reads
        return True

    # 4. Nodes without units are part of the readings

    def regions(self) -> Regions:
        """Return the nodes."""
        units = {node: self.units(node) for node in self.roots}
        inside = {node for node in self.roots if units[node] is None and self._read_alone(node)}

        def readings(operands: Iterable[Ref]) -> tuple[Reading, ...]:
            return tuple(self._reading(operand, operand, inside) for operand in operands)

        nodes = tuple(
            Region(i, tuple(sorted(self.inner[i])), readings(self.entries[i]), self.exit(i), units[i])
            for i in self.roots
            if i not in inside
        )
        outputs = [ref for ref in dict.fromkeys(self.tape.outputs) if ref in self.live]
        return Regions(tuple(self.sources), nodes, readings(outputs), frozenset(self.live))

    def _read_alone(self, node: Ref) -> bool:
        """Return whether a node reads one value, and every reading of it reads nothing else."""
        at_nodes, at_outputs = self.reads_of(node)
        read = [*(e for _, e in at_nodes), *at_outputs]
        return len(self.entries[node]) == 1 and bool(read) and all(set(self.reaching(e)) == {node} for e in read)

    def _reading(self, operand: Ref, value: Ref, inside: set[Ref]) -> Reading:
        reached = set(self.reaching(value))
        if len(reached) == 1 and (node := next(iter(reached))) in inside:
            return self._reading(operand, self.entries[node][0], inside)
        return Reading(value, operand)

    # 5. Units

    def exit(self, node: Ref) -> Ref:
        """Return what a node writes, followed through operations that only change its layout."""
        value = best = node
        while self.tape.shapes[value] and len(places := self.readers.get(value, [])) == 1:
            op = self.tape.operations[places[0]]
            if op.name not in VIEWS or op.outputs[0] is None or value in self.tape.outputs:
                break
            value = op.outputs[0]
            if len(self.tape.shapes[value]) > len(self.tape.shapes[best]):
                best = value
        return best

    def units(self, node: Ref) -> Units | None:
        """Return the axis of a node's units, measured."""
        exit_, operands = self.exit(node), self.entries[node]
        mixed = self._mixed_axes(exit_)
        found = (self._units_on(node, exit_, axis, operands) for axis in mixed)
        return next((units for units in found if units is not None), None)

    def _units_on(self, node: Ref, exit_: Ref, axis: int, operands: list[Ref]) -> Units | None:
        axes, entries = {}, {}
        size = self.tape.shapes[exit_][axis]
        for operand in operands:
            for other, n in enumerate(self.tape.shapes[operand]):
                if other == self.batch_axis.get(operand) or n < 2 or size % n:
                    continue
                if (read := self._entries_read(exit_, axis, operand, other)) is not None:
                    axes[operand], entries[operand] = other, read
                    break
            else:
                return None
        return Units(axis, size, axes, entries)

    def _entries_read(self, exit_: Ref, axis: int, operand: Ref, other: int) -> tuple[int, ...] | None:
        """Return the entry of the operand's axis that each unit reads; None when a unit reads several."""
        size, n = self.tape.shapes[exit_][axis], self.tape.shapes[operand][other]
        places = range(n) if n != size else sorted({0, n // 2, n - 1})
        share = size // n
        for place in places:
            changed = self._changed(exit_, axis, operand, other, place)
            if changed is None or not changed <= set(range(place * share, (place + 1) * share)):
                return None
        return tuple(unit // share for unit in range(size))

    def _changed(self, exit_: Ref, axis: int, operand: Ref, other: int, place: int) -> set[int] | None:
        """Return the units that change when one entry of an operand does."""
        x = self.values[operand].clone()
        part = x.select(other, place)
        part += 1 + torch.rand(part.shape, dtype=part.dtype, generator=torch.Generator().manual_seed(place))
        y = evaluate(self.tape, {operand: x}, exit_, self.values)
        difference = (y - self.values[exit_]).abs()
        if not difference.isfinite().all():
            return None
        by_unit = difference.movedim(axis, 0).flatten(1).amax(dim=1)
        return set(by_unit.nonzero().flatten().tolist())

    def _mixed_axes(self, exit_: Ref) -> list[int]:
        """Return the axes of a value that the next weights mix; where it meets none, the last (channels of maps)."""
        shape, op = self.tape.shapes[exit_], self._next_weights(exit_)
        axes = [axis for axis, size in enumerate(shape) if axis != self.batch_axis.get(exit_) and size > 1]
        if op is None:
            return [1] if len(shape) == 4 else axes[-1:]
        operand = next(ref for ref in op.reads if ref in self.live)
        contracted = 1 if op.name == "convolution" else len(self.tape.shapes[operand]) - 1

        def rows(axis: int, place: int) -> Tensor:
            """Return where the operand changes with one entry of the axis, at any place on its mixed axis."""
            x = self.values[exit_].clone()
            x.select(axis, place).add_(1 + torch.rand(x.select(axis, place).shape, dtype=x.dtype))
            return (evaluate(self.tape, {exit_: x}, operand, self.values) != self.values[operand]).any(dim=contracted)

        return [axis for axis in axes if torch.equal(rows(axis, 0), rows(axis, shape[axis] - 1))]

    def _next_weights(self, ref: Ref) -> Operation | None:
        todo, seen = [ref], set[int]()
        while todo:
            for place in self.readers.get(todo.pop(0), []):
                if place in seen or place in self.inside_nodes:
                    continue
                seen.add(place)
                op = self.tape.operations[place]
                if applies_weights(op, self.live):
                    return op
                todo += [out for out in op.outputs if out is not None]
        return None
