"""Reads of separate copies of the residual stream by the units of a node, at the cost of one read.

A head reads the stream through a norm, its columns of a weight matrix, and a layout. With a copy of the stream for each
head, a plain run multiplies each copy with the whole matrix. Here each copy is multiplied with its head's columns only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from einops import einsum, rearrange
from torch import Tensor

from workbench.core.affine import applies_weights
from workbench.core.replay import Values, between
from workbench.core.tape import Ref

if TYPE_CHECKING:
    from workbench.core.ports import Port
    from workbench.core.tape_model import TapeModel


@dataclass(frozen=True)
class UnitRead:
    """Path from a value to an operand: a norm or nothing, one matrix product, and a layout.

    Attributes:
        value: Value that is read, (batch, ..., width).
        operand: Value that enters the node, with one entry for each unit.
        product: Number of the matrix product.
        columns: Columns of the matrix that each unit reads, (unit, column).
    """

    model: TapeModel
    value: Ref
    operand: Ref
    product: int
    columns: Tensor

    @classmethod
    def find(cls, model: TapeModel, port: Port, axis: int) -> UnitRead | None:
        """Return the path of a port to its operand; None if it has another form."""
        tape, n = model.batched.pattern, port.copies
        (operand,) = port.operands
        if any(model.batched.batch_axis[ref] != 0 or model.batched.per_row[ref] != 1 for ref in (port.value, operand)):
            return None
        if n is None or tape.shapes[operand][axis] != n:
            return None
        way = between(tape, [port.value], [operand])
        products = [i for i in way if applies_weights(tape.operations[i], model.regions.live)]
        if len(products) != 1 or tape.operations[products[0]].name not in ("mm", "addmm"):
            return None
        found = cls(model, port.value, operand, products[0], torch.zeros(0))
        columns = found._columns_of_units(axis, n)
        return None if columns is None else cls(model, port.value, operand, products[0], columns)

    # Names of the values around the product

    @property
    def _factors(self) -> tuple[Ref, Ref]:
        op = self.model.batched.pattern.operations[self.product]
        left, right = op.args[1:3] if op.name == "addmm" else op.args[:2]
        return left, right

    @property
    def _result(self) -> Ref:
        result = self.model.batched.pattern.operations[self.product].outputs[0]
        assert result is not None
        return result

    def _weight(self) -> Tensor:
        return self.model.batched.pattern.constants[self._factors[1]]

    def _columns_of_units(self, axis: int, n: int) -> Tensor | None:
        """Return the columns that each unit's entry of the operand depends on, measured by its gradient."""
        model, rows = self.model, 2
        shape = model.batched.at(rows).shapes[self._result]
        with torch.enable_grad():
            result = torch.rand(shape, dtype=self._weight().dtype).requires_grad_()
            operand = self._laid_out(result, rows)
            found = []
            for unit in range(n):
                entry = operand.select(axis, unit)
                (gradient,) = torch.autograd.grad(entry, result, torch.rand_like(entry) + 0.5, retain_graph=True)
                found.append((gradient != 0).any(dim=0).nonzero().flatten())
        widths = {len(columns) for columns in found}
        apart = torch.cat(found)
        return torch.stack(found) if len(widths) == 1 and len(apart.unique()) == len(apart) else None

    def _laid_out(self, result: Tensor, rows: int, values: Values | None = None) -> Tensor:
        """Return the operand that follows from what the product returns."""
        program = self.model.program(rows)
        return program.follow({self._result: result}, (self.operand,), values or {}, program)[self.operand]

    def _before(self, value: Tensor, rows: int) -> Tensor:
        """Return the left factor of the product, (row, place, width)."""
        program, left = self.model.program(rows), self._factors[0]
        found = value if left == self.value else program.follow({self.value: value}, (left,), {}, program)[left]
        return found.reshape(rows, -1, found.shape[-1])

    def read(self, copies: Tensor, values: Values) -> Tensor:
        """Return the operand when unit u reads `copies[:, u]`."""
        rows, n = copies.shape[:2]
        before = rearrange(self._before(copies.flatten(0, 1), rows * n), "(b u) p w -> b u p w", b=rows)
        weight = self._weight()
        own = einsum(before, weight[:, self.columns], "b u p w, w u c -> b p u c")
        result = own.new_zeros(*own.shape[:2], weight.shape[1])
        result[..., self.columns.flatten()] = own.flatten(2)
        op = self.model.batched.pattern.operations[self.product]
        if op.name == "addmm":
            result = result + self.model.batched.pattern.constants[op.args[0]]
        return self._laid_out(result.flatten(0, 1), rows, values)

    def pull(self, value: Tensor, gradient: Tensor) -> Tensor:
        """Return the gradient at each unit's copy of the value, (batch, unit, ...), from that at the operand."""
        rows, n = len(value), len(self.columns)
        with torch.enable_grad():
            result = value.new_zeros(self.model.batched.at(rows).shapes[self._result]).requires_grad_()
            (at_result,) = torch.autograd.grad(self._laid_out(result, rows), result, gradient)
            stream = value.detach().requires_grad_()
            before = self._before(stream, rows)
            places = at_result.unflatten(0, (rows, -1))[..., self.columns]
            at_before = einsum(places, self._weight()[:, self.columns], "b p u c, w u c -> u b p w")
            if before is stream or before.data_ptr() == stream.data_ptr():
                return rearrange(at_before, "u b p w -> b u p w").reshape(rows, n, *value.shape[1:])
            (found,) = torch.autograd.grad(before, stream, at_before, is_grads_batched=True)
        return found.movedim(0, 1)


def finder(model: TapeModel) -> Callable[[Port, int], UnitRead | None]:
    """Return `UnitRead.find` of a model, cached by port."""
    kept: dict[str, UnitRead | None] = {}

    def find(port: Port, axis: int) -> UnitRead | None:
        if port.name not in kept:
            with torch.no_grad():
                kept[port.name] = UnitRead.find(model, port, axis)
        return kept[port.name]

    return find
