"""Position-dependent constants, such as position embeddings, as sources of the computation graph.

They write to a stream like embeddings of tokens, so their edges have effects under zero and mean ablation. On the tape
each becomes a value with one copy per row.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from workbench.core.any_batch import BatchedTape, PerRow
from workbench.core.tape import Operation, Ref

aten = torch.ops.aten


def expose_constants(batched: BatchedTape) -> tuple[BatchedTape, tuple[Ref, ...]]:
    """Return the tape on which such constants are values, and these values."""
    tape = batched.pattern
    following = max([*tape.shapes, *tape.constants]) + 1
    operations, shapes, returned = list[Operation](), dict(tape.shapes), dict(tape.returned)
    batch_axis, per_row, made = dict(batched.batch_axis), dict(batched.per_row), dict[Ref, Ref]()
    for op in tape.operations:
        constant = _added_constant(op, batched)
        if constant is not None and constant not in made:
            value = made[constant] = Ref(following + len(made))
            shape = tape.shapes[op.outputs[0]][1:]  # type: ignore[index]
            shapes[value] = (batched.rows, *shape)
            batch_axis[value], per_row[value] = 0, 1
            function = aten.clone.default if constant in batched.batch_axis else aten.expand.default
            args = (constant,) if constant in batched.batch_axis else (constant, [PerRow(1), *shape])
            operations.append(Operation(function, args, {}, (value,), op.module))
            returned = {
                name: tuple(value if ref == constant else ref for ref in refs) for name, refs in returned.items()
            }
        operations.append(op if constant is None else _make_read(op, constant, made[constant]))
    pattern = replace(tape, operations=tuple(operations), shapes=shapes, returned=returned)
    guards = tuple(
        replace(guard, after=_count_moved(guard.after, tape.operations, operations)) for guard in tape.guards
    )
    exposed = BatchedTape(replace(pattern, guards=guards), batched.rows, batch_axis, per_row)
    return exposed, tuple(made.values())


def _make_read(op: Operation, old: Ref, new: Ref) -> Operation:
    """Return an operation that reads another value."""
    return replace(op, args=tuple(new if isinstance(arg, Ref) and arg == old else arg for arg in op.args))


def _added_constant(op: Operation, batched: BatchedTape) -> Ref | None:
    """Return the constant that an operation adds to an activation, if it differs by position and not by row."""
    tape = batched.pattern
    if op.name != "add" or op.outputs[0] is None or batched.batch_axis.get(op.outputs[0]) != 0:
        return None
    shape = tape.shapes[op.outputs[0]]
    for ref in op.args[:2]:
        if not isinstance(ref, Ref) or ref not in tape.constants or len(shape) < 3:
            continue
        x = tape.constants[ref]
        each_row = batched.batch_axis.get(ref) == 0 and batched.per_row[ref] == 1
        alike = each_row or x.ndim < len(shape) or x.shape[0] == 1
        if x.is_floating_point() and alike and tuple(x.shape[-(len(shape) - 1) :]) == shape[1:]:
            return ref
    return None


def _count_moved(after: int, old: tuple[Operation, ...], new: list[Operation]) -> int:
    """Return the number of operations before a place after some were inserted."""
    if after >= len(old):
        return len(new)
    outputs = old[after].outputs
    return next(i for i, op in enumerate(new) if op.outputs == outputs)
