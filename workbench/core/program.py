"""Replay of a tape with hook points at its values and at the ports of its nodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from workbench.core.errors import InputError
from workbench.core.ports import Part, Port
from workbench.core.replay import Run, Values, between, bind
from workbench.core.tape import Guard, Ref, Tape
from workbench.core.torch_internals import tree_map

if TYPE_CHECKING:
    from workbench.core.tape_model import TapeModel


class Program:
    """Tape for one number of rows, with bound arguments, hooks and ports."""

    def __init__(self, model: TapeModel, rows: int) -> None:
        self.model, self.rows = model, rows
        self.tape: Tape = model.batched.at(rows)
        self.steps: list[Run] = [bind(op, self.tape.constants) for op in self.tape.operations]
        self.sites = [[o for o in op.outputs if o in model.names.of] for op in self.tape.operations]
        self.guards: dict[int, list[Guard]] = {}
        for guard in self.tape.guards:
            self.guards.setdefault(guard.after - 1, []).append(guard)
        self.parts: dict[int, list[Part]] = {}
        for part in model.parts:
            self.parts.setdefault(part.place, []).append(part)

    def run(self, values: Values, start: int, stop: int) -> None:
        """Run a range of operations."""
        handlers = self.model.router.active_hooks
        if start == 0 and handlers is not None:
            self._run_parts(-1, values, handlers, sinks=True)
        for i in range(start, stop):
            self.steps[i](values)
            if i in self.guards:
                self._check(self.guards[i], values)
            if handlers is not None:
                self._run_parts(i, values, handlers)
                for ref in self.sites[i]:
                    self.model._send(ref, values)
                self._run_parts(i, values, handlers, sinks=True)

    def _check(self, guards: list[Guard], values: Values) -> None:
        """Raise InputError if Python would read another number than in the recording, because it may branch on it."""
        known = {**self.tape.constants, **values}
        for guard in guards:
            number = guard.function(*tree_map(lambda arg: known[arg] if isinstance(arg, Ref) else arg, guard.args))
            if number != guard.number:
                raise InputError(
                    f"The network reads {number} off an activation where its recorded pass read {guard.number}, and "
                    "may do other work then. Open it with an example like these inputs, or with hooks alone."
                )

    def _run_parts(self, place: int, values: Values, handlers: Mapping[str, Any], sinks: bool = False) -> None:
        for part in self.parts.get(place, ()):
            if (part.region is None) == sinks and any(port.name in handlers for port in part.ports):
                values[part.write] = self.compute(part, values)

    def compute(self, part: Part, values: Values) -> Tensor:
        """Compute a node's write from what the hook points of its ports return."""
        handlers, points = self.model.router.active_hooks or {}, self.model.hook_dict
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
        """Compute the operands if each unit reads its own copy of the value."""
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
        """Compute values from others; everything else is read from the run, repeated for each copy."""
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
