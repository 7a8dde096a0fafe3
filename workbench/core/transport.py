"""Transport of writes to the ports that read them, through the affine segment of a tape between them.

`T(w) = segment(w) - segment(0)` holds by construction. Where one operation in the segment applies weights, the edges
between units and ports are entries of those weights, and a mask on edges is a mask on the weights: then a wire costs
one run of the segment, however many edges it has. That is measured once, by units that are changed one at a time;
otherwise the segment runs once for each port.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from workbench.core.affine import applies_weights, linear_part, weights_of
from workbench.core.tape import Operation, Ref

if TYPE_CHECKING:
    from workbench.core.tape_model import TapeModel

aten = torch.ops.aten


@dataclass(frozen=True)
class Segment:
    """Affine operations from `start` to `end`, in order."""

    model: TapeModel
    start: Ref
    end: Ref
    operations: tuple[int, ...]

    @classmethod
    def between(cls, model: TapeModel, start: Ref, end: Ref) -> Segment:
        """Return the operations by which `end` follows from `start` without passing through another node."""
        tape, nodes = model.batched.pattern, model.derivation.inside_nodes
        maker, todo, seen = tape.maker, [end], set[int]()
        while todo:
            ref = todo.pop()
            place = maker.get(ref)
            if ref != start and place is not None and place not in nodes and place not in seen:
                seen.add(place)
                todo += tape.operations[place].reads
        reached, found = {start}, []
        for place in sorted(seen):
            op = tape.operations[place]
            if any(ref in reached for ref in op.reads):
                found.append(place)
                reached.update(out for out in op.outputs if out is not None)
        return cls(model, start, end, tuple(found))

    def carry(self, change: Tensor, rows: int, weights: Tensor | None = None) -> Tensor:
        """Return the change of `end` for a change of `start`, rows first.

        `weights` replaces those of the only weighted operation.
        """
        batched = self.model.batched
        tape = batched.at(rows)
        changes = {self.start: batched.merge_rows(self.start, change)}
        for place in self.operations:
            op = tape.operations[place]
            result = linear_part(op, changes, tape, weights if place == self.weighted else None)
            for ref, out in zip(op.outputs, result if isinstance(result, tuple | list) else (result,), strict=True):
                if ref is not None and out is not None:
                    changes[ref] = out
        return batched.rows_first(self.end, changes[self.end])

    def part(self, value: Tensor, first: bool, rows: int) -> Tensor:
        """Run the operations before the weighted one (`first`) or those after it; `start` and `end` have rows first."""
        batched = self.model.batched
        tape = batched.at(rows)
        assert self.weighted is not None
        op = tape.operations[self.weighted]
        operand, result = self.operand_of(op), op.outputs[0]
        assert result is not None
        changes = {self.start: batched.merge_rows(self.start, value)} if first else {result: value}
        for place in self.operations:
            if (place < self.weighted) == first and place != self.weighted:
                here = tape.operations[place]
                out = linear_part(here, changes, tape)
                outs = out if isinstance(out, tuple | list) else (out,)
                changes.update(
                    {r: o for r, o in zip(here.outputs, outs, strict=True) if r is not None and o is not None}
                )
        return changes[operand] if first else batched.rows_first(self.end, changes[self.end])

    @cached_property
    def weighted(self) -> int | None:
        """Only operation that applies weights; None if there are several or none."""
        live = self.model.regions.live
        found = [i for i in self.operations if applies_weights(self.model.batched.pattern.operations[i], live)]
        if len(found) != 1:
            return None
        op = self.model.batched.pattern.operations[found[0]]
        simple = op.name in ("mm", "addmm") or (op.name == "convolution" and op.args[8] == 1)
        before = [i for i in self.operations if i < found[0]]
        reads = {ref for i in self.operations if i > found[0] for ref in self.model.batched.pattern.operations[i].reads}
        inner = {self.start, *(o for i in before for o in self.model.batched.pattern.operations[i].outputs)}
        return found[0] if simple and self.operand_of(op) in live and not reads & inner else None

    def operand_of(self, op: Operation) -> Ref:
        """Return the value to which weights are applied."""
        return op.args[1] if op.name == "addmm" else op.args[0]

    @property
    def weight(self) -> Tensor:
        """The weights as (in, out, ...)."""
        assert self.weighted is not None
        tape = self.model.batched.at(1)
        op = tape.operations[self.weighted]
        weight = tape.constants[weights_of(op)]
        return weight if op.name in ("mm", "addmm") or op.args[6] else weight.transpose(0, 1)

    def laid_out(self, weight: Tensor) -> Tensor:
        """Undo the layout of `weight`."""
        assert self.weighted is not None
        op = self.model.batched.pattern.operations[self.weighted]
        return weight if op.name in ("mm", "addmm") or op.args[6] else weight.transpose(0, 1)

    def writer_of_input(self, axis: int, size: int) -> Tensor | None:
        """Return the unit that each input of the weights comes from; None if one comes from several."""
        shape = self.model.batched.shown_shape(self.start, size)
        units = torch.zeros(shape, dtype=self.weight.dtype)
        index = torch.arange(size)
        units.movedim(axis, 1)[index, index] = torch.rand(units.movedim(axis, 1)[index, index].shape).to(units) + 0.5
        operand = self.part(units, True, size)
        return _owners(operand, size, self._contracted)

    def port_of_output(self, axis: int, size: int) -> Tensor | None:
        """Return the port that each output of the weights feeds; None if one feeds several."""
        assert self.weighted is not None
        tape = self.model.batched.pattern
        result = tape.operations[self.weighted].outputs[0]
        assert result is not None
        n = self.weight.shape[1]
        shape = self.model.batched.at(n).shapes[result]
        rows = shape[0] // n
        columns = torch.zeros(n, rows, *shape[1:], dtype=self.weight.dtype)
        index = torch.arange(n)
        columns.movedim(self._contracted + 1, 1)[index, index] = 1
        end = self.part(columns.flatten(0, 1), False, n)
        touched = (end != 0).movedim(axis, 1).reshape(n, size, -1).any(dim=2)
        return touched.float().argmax(dim=1) if bool((touched.sum(dim=1) == 1).all()) else None

    @property
    def _contracted(self) -> int:
        assert self.weighted is not None
        return 1

    def __bool__(self) -> bool:
        return bool(self.operations)


def _owners(operand: Tensor, units: int, axis: int) -> Tensor | None:
    """Return which unit's rows are not zero at each entry of an axis."""
    by_unit = operand.unflatten(0, (units, -1)).movedim(axis + 1, 1)
    touched = (by_unit != 0).reshape(*by_unit.shape[:2], -1).any(dim=2)
    return touched.float().argmax(dim=0) if bool((touched.sum(dim=0) == 1).all()) else None


def masked_weights(segment: Segment, writers: Tensor, ports: Tensor | None, mask: Tensor) -> Tensor:
    """Return the weights with each entry times the mask of its edge."""
    weight = segment.weight
    edges = mask[writers] if ports is None else mask[writers][:, ports]
    return segment.laid_out(weight * edges.reshape(*edges.shape, *[1] * (weight.ndim - 2)))
