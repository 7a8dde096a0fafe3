"""A tape for any number of rows, from two recordings with different numbers of rows.

Whole numbers among the arguments (sizes of views) and lengths of axes that differ between the two recordings must
grow in proportion to the number of rows. Then the tape for another number follows without running the module.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from workbench.core.errors import InputError
from workbench.core.tape import Guard, Operation, Ref, Tape
from workbench.core.torch_internals import tree_map


@dataclass(frozen=True)
class PerRow:
    """Number that is proportional to the number of rows."""

    times: int


@dataclass(frozen=True)
class BatchedTape:
    """Tape for any number of rows: its arguments have `PerRow` where a number is proportional to the rows.

    Attributes:
        pattern: The tape of `rows` rows, numbers that grow replaced.
        rows: Number of rows of the recording whose shapes `pattern` has.
        batch_axis: Axis of the rows, for each value that has rows; other values are shared.
        per_row: For each such value, the entries of that axis that belong to one row.
        spread: Values in which these entries are not neighbours: the axis has all rows once, then again.
    """

    pattern: Tape
    rows: int
    batch_axis: dict[Ref, int]
    per_row: dict[Ref, int]
    spread: set[Ref] = field(default_factory=set)
    made: dict[int, Tape] = field(default_factory=dict, repr=False)

    def at(self, rows: int) -> Tape:
        """Return the tape for a number of rows."""
        if rows not in self.made:
            fill = _make_fill(rows)
            operations = tuple(
                replace(op, args=fill(op.args), kwargs=fill(op.kwargs)) for op in self.pattern.operations
            )
            guards = tuple(replace(guard, args=fill(guard.args)) for guard in self.pattern.guards)
            constants = {ref: self._constant(ref, x, rows) for ref, x in self.pattern.constants.items()}
            shapes = {ref: self._shape(ref, shape, rows) for ref, shape in self.pattern.shapes.items()}
            self.made[rows] = replace(
                self.pattern, operations=operations, guards=guards, constants=constants, shapes=shapes
            )
        return self.made[rows]

    # Values with the rows first

    def rows_first(self, ref: Ref, x: Tensor) -> Tensor:
        """Return a value with its rows alone on the first axis."""
        axis, share = self.batch_axis[ref], self.per_row[ref]
        if ref in self.spread:
            return x.unflatten(axis, (share, -1)).movedim(axis + 1, 0)
        return (x.unflatten(axis, (-1, share)) if share > 1 else x).movedim(axis, 0)

    def merge_rows(self, ref: Ref, x: Tensor) -> Tensor:
        """Undo `rows_first`."""
        axis, share = self.batch_axis[ref], self.per_row[ref]
        x = x.movedim(0, axis + 1 if ref in self.spread else axis)
        return x.flatten(axis, axis + 1) if share > 1 else x

    def shown_axis(self, ref: Ref, axis: int) -> int:
        """Return the index of an axis (not that of the rows) after the rows were moved first."""
        if ref not in self.batch_axis:
            return axis
        return axis + 1 if axis < self.batch_axis[ref] or self.per_row[ref] > 1 else axis

    def shown_shape(self, ref: Ref, rows: int) -> tuple[int, ...]:
        """Return the shape of a value with its rows first."""
        shape, axis, share = self.pattern.shapes[ref], self.batch_axis[ref], self.per_row[ref]
        beside = [*shape[:axis], *([share] if share > 1 else []), *shape[axis + 1 :]]
        return (rows, *beside)

    def _shape(self, ref: Ref, shape: tuple[int, ...], rows: int) -> tuple[int, ...]:
        axis = self.batch_axis.get(ref)
        return shape if axis is None else (*shape[:axis], self.per_row[ref] * rows, *shape[axis + 1 :])

    def _constant(self, ref: Ref, x: Tensor, rows: int) -> Tensor:
        axis = self.batch_axis.get(ref)
        if axis is None:
            return x
        one = x.narrow(axis, 0, self.per_row[ref])
        return one.repeat([rows if i == axis else 1 for i in range(x.ndim)])


def _make_fill(rows: int) -> Callable[[Any], Any]:
    def fill(leaf: Any) -> Any:
        return leaf.times * rows if isinstance(leaf, PerRow) else leaf

    return lambda tree: tree_map(fill, tree, is_leaf=lambda leaf: isinstance(leaf, PerRow))


def generalize(one: Tape, rows: int, other: Tape, more: int) -> BatchedTape:
    """Combine the tapes of one module for two numbers of rows.

    Args:
        one: Tape of `rows` rows.
        rows: Number of rows.
        other: Tape of the same module for `more` rows.
        more: Another number of rows.

    Returns:
        The tape for any number of rows.

    Raises:
        InputError: If the module runs other operations for another number of rows, or a number or constant differs
            that is not proportional to them.
    """
    if [op.function for op in one.operations] != [op.function for op in other.operations]:
        place = next(
            (a for a, b in zip(one.operations, other.operations, strict=False) if a.function != b.function),
            one.operations[-1],
        )
        raise InputError(
            f"The network runs other operations for {more} rows than for {rows}, from {place.name!r} in "
            f"{place.module or 'the network itself'!r} on. Record it for each number of rows."
        )
    if [(g.after, g.function) for g in one.guards] != [(g.after, g.function) for g in other.guards]:
        raise InputError(
            f"The network reads other numbers off its activations for {more} rows than for {rows}. "
            "Open it with hooks alone."
        )
    match = _make_match(rows, more)
    operations = tuple(
        Operation(a.function, match(a.args, b.args, a), match(a.kwargs, b.kwargs, a), a.outputs, a.module)
        for a, b in zip(one.operations, other.operations, strict=True)
    )
    guards = tuple(
        Guard(a.after, a.function, match(a.args, b.args, one.operations[0]), a.number)
        for a, b in zip(one.guards, other.guards, strict=True)
    )
    batch_axis, per_row = {}, {}
    shapes = [(ref, shape, other.shapes[ref]) for ref, shape in one.shapes.items()]
    shapes += [(ref, tuple(x.shape), tuple(other.constants[ref].shape)) for ref, x in one.constants.items()]
    for ref, a, b in shapes:
        if a != b:
            batch_axis[ref], per_row[ref] = _growing_axis(a, b, rows, more)
    tape = BatchedTape(replace(one, operations=operations, guards=guards), rows, batch_axis, per_row)
    for ref, x in other.constants.items():
        made = tape._constant(ref, one.constants[ref], more)
        if made.shape != x.shape or not torch.equal(made, x):
            raise InputError(
                f"A constant of shape {tuple(x.shape)} differs between {rows} and {more} rows and is not the same for "
                "each row. Record the network for each number of rows."
            )
    return tape


def _make_match(rows: int, more: int) -> Callable[[Any, Any, Operation], Any]:
    def leaf(a: Any, b: Any, op: Operation) -> Any:
        if isinstance(a, list | tuple):
            if len(a) != len(b):
                raise _differs(op, a, b)
            return type(a)([leaf(x, y, op) for x, y in zip(a, b, strict=True)])
        if isinstance(a, dict):
            return {key: leaf(a[key], b[key], op) for key in a}
        if type(a) is type(b) and a == b:
            return a
        if type(a) is int and type(b) is int and a % rows == 0 and a // rows * more == b:
            return PerRow(a // rows)
        raise _differs(op, a, b)

    return leaf


def _differs(op: Operation, a: Any, b: Any) -> InputError:
    return InputError(
        f"{op.name!r} in {op.module or 'the network itself'!r} has {a!r} for one number of rows and {b!r} for "
        "another, which is not in proportion: the rows do not pass through it one by one."
    )


def _growing_axis(a: tuple[int, ...], b: tuple[int, ...], rows: int, more: int) -> tuple[int, int]:
    """Return the axis of the rows and the entries of one row there."""
    axes = [i for i, (x, y) in enumerate(zip(a, b, strict=len(a) == len(b))) if x != y]
    if len(a) != len(b) or len(axes) != 1 or a[axes[0]] % rows or a[axes[0]] // rows * more != b[axes[0]]:
        raise InputError(f"A value has shape {a} for {rows} rows and {b} for {more}: no axis has the rows.")
    return axes[0], a[axes[0]] // rows
