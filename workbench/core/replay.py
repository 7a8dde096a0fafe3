"""Replay a tape in full, over a range of its operations, or downstream of changed values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from workbench.core.tape import Operation, Ref, Tape
from workbench.core.torch_internals import tree_leaves, tree_map

aten = torch.ops.aten
Values = dict[Ref, Tensor]
Run = Callable[[Values], None]


def replay(tape: Tape, inputs: Sequence[Tensor]) -> Values:
    """Return every value of a tape on other inputs of the same shapes, constants included."""
    values: Values = {**tape.constants, **dict(zip(tape.inputs, inputs, strict=True))}
    for op in tape.operations:
        bind(op, {})(values)
    return values


def evaluate(tape: Tape, changed: Mapping[Ref, Tensor], target: Ref, values: Mapping[Ref, Tensor]) -> Tensor:
    """Compute a value after some others were changed; the rest is as in `values`."""
    now: Values = dict(changed)
    for op in tape.operations[: tape.maker.get(target, -1) + 1]:
        if any(ref in now for ref in op.reads) and not any(out in changed for out in op.outputs):
            bind(op, {ref: values[ref] for ref in op.reads if ref not in now})(now)
    return now[target] if target in now else values[target]


def between(tape: Tape, starts: Iterable[Ref], ends: Iterable[Ref]) -> tuple[int, ...]:
    """Return the operations by which `ends` follow from `starts`, in order."""
    stops, maker = set(starts), tape.maker
    todo, found = [end for end in ends if end not in stops], set[int]()
    after = following(tape, stops)
    while todo:
        ref = todo.pop()
        if ref in stops or ref not in after or (place := maker[ref]) in found:
            continue
        found.add(place)
        todo += tape.operations[place].reads
    return tuple(sorted(found))


def following(tape: Tape, starts: Iterable[Ref]) -> set[Ref]:
    """Return the values that depend on `starts`."""
    reached = set(starts)
    for op in tape.operations:
        if any(ref in reached for ref in op.reads):
            reached.update(out for out in op.outputs if out is not None)
    return reached


def bind(op: Operation, constants: Mapping[Ref, Tensor]) -> Run:
    """Return a function that runs an operation on values and stores its results.

    Constants are bound now, so a run only fills in the values that vary. Views become reshapes, because an edited value
    may have another memory layout.
    """

    def settle(leaf: Any) -> Any:
        return constants[leaf] if isinstance(leaf, Ref) and leaf in constants else leaf

    args, kwargs = tree_map(settle, op.args), tree_map(settle, op.kwargs)
    outputs = op.outputs
    function = aten.reshape.default if op.function in (aten.view.default, aten._unsafe_view.default) else op.function
    filled = [(i, arg) for i, arg in enumerate(args) if isinstance(arg, Ref)]
    nested = [arg for arg in args if isinstance(arg, list | tuple)]
    flat = not any(isinstance(leaf, Ref) for leaf in tree_leaves((nested, kwargs)))
    single = outputs[0] if len(outputs) == 1 and not op.several else None
    plain = list(args)

    def run(values: Values) -> None:
        if flat:
            now = plain.copy()
            for i, ref in filled:
                now[i] = values[ref]
            result = function(*now, **kwargs)
        else:
            result = function(
                *tree_map(lambda leaf: values[leaf] if isinstance(leaf, Ref) else leaf, args),
                **tree_map(lambda leaf: values[leaf] if isinstance(leaf, Ref) else leaf, kwargs),
            )
        if single is not None:
            values[single] = result
            return
        for ref, out in zip(outputs, result if isinstance(result, tuple | list) else (result,), strict=True):
            if ref is not None:
                values[ref] = out

    return run
