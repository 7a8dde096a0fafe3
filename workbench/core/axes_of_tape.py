"""Names for the axes of every value on a tape, propagated through the operations from the inputs.

A name follows an axis through sums, norms, permutations, convolutions, products, and views that merge axes and split
them again. Where the position of an axis is not certain, it is called `axis1` and so on, never by a wrong name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod

from workbench.core.affine import VIEWS
from workbench.core.any_batch import BatchedTape
from workbench.core.tape import Operation, Ref

Axis = tuple[tuple[str | None, int], ...]
"""Named axes that were merged into one axis, outermost first, each with its length."""
Names = tuple[Axis, ...]
Shapes = Mapping[Ref, tuple[int, ...]]
SPATIAL = {1: ("pos",), 2: ("height", "width"), 3: ("depth", "height", "width")}
"""Names of the axes after the channels, by their number."""

READ_FIRST = {"embedding": "pos", "addmm": "feature", "mm": "feature"}
"""Name of the second of two axes of an input, by the operation that reads it first."""


def name_axes(batched: BatchedTape) -> dict[Ref, tuple[str, ...]]:
    """Return the names of the axes of each value of a tape."""
    tape = batched.pattern
    shapes: dict[Ref, tuple[int, ...]] = {**tape.shapes, **{ref: tuple(x.shape) for ref, x in tape.constants.items()}}
    names: dict[Ref, Names] = {ref: single(input_names(batched, ref), tape.shapes[ref]) for ref in tape.inputs}
    for op in tape.operations:
        found = names_after(op, names, shapes)
        for ref in op.outputs:
            if ref is not None:
                names[ref] = fit(found, shapes[ref])
    return {ref: finish(batched, ref, names[ref]) for ref in tape.shapes}


def single(names: Sequence[str | None], shape: tuple[int, ...]) -> Names:
    """Return the names of axes if none of them is merged."""
    return tuple(((name, size),) for name, size in zip(names, shape, strict=True))


def unnamed(shape: tuple[int, ...]) -> Names:
    """Return axes without names."""
    return single([None] * len(shape), shape)


def input_names(batched: BatchedTape, ref: Ref) -> tuple[str | None, ...]:
    """Return the names of an input's axes, from the operation that reads it first. The first axis has the rows."""
    tape, shape = batched.pattern, batched.pattern.shapes[ref]
    first = next((op for op in tape.operations if ref in op.reads), None)
    while first is not None and first.name in VIEWS and first.outputs[0] is not None:
        laid_out = first.outputs[0]
        first = next((op for op in tape.operations if laid_out in op.reads), None)
    if first is not None and first.name == "convolution" and first.args[0] == ref:
        return ("rows", "channel", *SPATIAL[len(shape) - 2])
    name = READ_FIRST.get(first.name) if first is not None and len(shape) == 2 else None
    return ("rows", *[name] * (len(shape) - 1)) if shape else ()


def names_after(op: Operation, names: Mapping[Ref, Names], shapes: Shapes) -> Names:
    """Return the names of the axes of an operation's result, as far as they follow from its arguments."""
    rule = RULES.get(op.name)
    if rule is not None:
        return rule(op, names, shapes)
    shape = shapes[op.outputs[0]] if op.outputs[0] is not None else ()
    return align([(names[ref], shapes[ref]) for ref in op.reads if ref in names], shape)


def align(operands: Sequence[tuple[Names, tuple[int, ...]]], shape: tuple[int, ...]) -> Names:
    """Return the names of an elementwise result: those of its operands, lined up at the last axis."""
    found = list(unnamed(shape))
    for names, operand in operands:
        for i, (axis, size) in enumerate(zip(reversed(names), reversed(operand), strict=True), 1):
            if i <= len(shape) and size == shape[-i] and not any(name for name, _ in found[-i]):
                found[-i] = axis
    return tuple(found)


def fit(names: Names, shape: tuple[int, ...]) -> Names:
    """Return the names if there is one for each axis, else none."""
    if len(names) != len(shape):
        return unnamed(shape)
    return tuple(
        axis if prod(n for _, n in axis) == size else ((None, size),) for axis, size in zip(names, shape, strict=True)
    )


def finish(batched: BatchedTape, ref: Ref, names: Names) -> tuple[str, ...]:
    """Return the names with `batch` first. Unknown and repeated names are replaced by numbered ones."""
    known = [axis[0][0] if len(axis) == 1 else None for axis in names]
    if (batch := batched.batch_axis.get(ref)) is not None:
        share = batched.per_row[ref]
        inner = [name for name, n in names[batch] if name != "rows" and n == share]
        known[batch : batch + 1] = [inner[0] if len(inner) == 1 else None] if share > 1 else []
        known.insert(0, "batch")
    known = [name if name != "rows" else None for name in known]
    if known.count("pos") == 2:
        known = [
            ("query" if "pos" in known[i + 1 :] else "key") if name == "pos" else name for i, name in enumerate(known)
        ]
    return tuple(name if name and known.count(name) == 1 else f"axis{i}" for i, name in enumerate(known))


# One rule for each kind of operation


def _first(op: Operation) -> Ref:
    return op.args[0]


def _names(op: Operation, names: Mapping[Ref, Names], shapes: Shapes) -> Names:
    return names.get(_first(op)) or unnamed(shapes[_first(op)])


def _permute(op: Operation, names: Mapping[Ref, Names], shapes: Shapes) -> Names:
    old = _names(op, names, shapes)
    if op.name == "permute":
        return tuple(old[i] for i in op.args[1])
    new = list(old)
    a, b = op.args[1:3] if op.name == "transpose" else (0, 1)
    new[a], new[b] = new[b], new[a]
    return tuple(new)


def _unsqueeze(op: Operation, names: Mapping[Ref, Names], shapes: Shapes) -> Names:
    old, place = list(_names(op, names, shapes)), op.args[1]
    old.insert(place if place >= 0 else len(old) + 1 + place, ((None, 1),))
    return tuple(old)


def _drop(op: Operation, names: Mapping[Ref, Names], shapes: Shapes) -> Names:
    """Drop the axis of which entries are taken."""
    old = list(_names(op, names, shapes))
    old.pop(op.args[1] if len(op.args) > 1 else 0)
    return tuple(old)


def _squeeze(op: Operation, names: Mapping[Ref, Names], shapes: Shapes) -> Names:
    old, shape = _names(op, names, shapes), shapes[_first(op)]
    places = op.args[1] if len(op.args) > 1 else range(len(shape))
    gone = {place % len(shape) for place in ([places] if isinstance(places, int) else places)}
    return tuple(name for i, name in enumerate(old) if not (i in gone and shape[i] == 1))


def _reduce(op: Operation, names: Mapping[Ref, Names], shapes: Shapes) -> Names:
    old = _names(op, names, shapes)
    places = op.args[1] if len(op.args) > 1 and isinstance(op.args[1], list | tuple) else range(len(old))
    gone = {place % len(old) for place in places} if old else set()
    if len(op.args) > 2 and op.args[2] is True:
        return tuple(((None, 1),) if i in gone else axis for i, axis in enumerate(old))
    return tuple(name for i, name in enumerate(old) if i not in gone)


def _view(op: Operation, names: Mapping[Ref, Names], shapes: Shapes) -> Names:
    """Regroup the merged axes; an axis that is split inside loses its name."""
    factors = [factor for axis in _names(op, names, shapes) for factor in axis if factor[1] != 1]
    new: list[Axis] = []
    for size in shapes[op.outputs[0]]:  # type: ignore[index]
        axis: list[tuple[str | None, int]] = []
        left = size
        while left > 1:
            name, n = factors.pop(0)
            if left % n == 0:
                axis.append((name, n))
                left //= n
            elif n % left == 0:
                axis.append((None, left))
                factors.insert(0, (None, n // left))
                left = 1
            else:
                return unnamed(shapes[op.outputs[0]])  # type: ignore[index]
        new.append(tuple(axis) or ((None, 1),))
    return tuple(new)


def _expand(op: Operation, names: Mapping[Ref, Names], shapes: Shapes) -> Names:
    old, before, after = _names(op, names, shapes), shapes[_first(op)], shapes[op.outputs[0]]  # type: ignore[index]
    new = len(after) - len(before)
    kept = (axis if a == b else ((None, b),) for axis, a, b in zip(old, before, after[new:], strict=True))
    return (*unnamed(after[:new]), *kept)


def _multiply(op: Operation, names: Mapping[Ref, Names], shapes: Shapes) -> Names:
    left, right = op.args[1:3] if op.name in ("addmm", "baddbmm") else op.args[:2]
    one, two = (names.get(ref) or unnamed(shapes[ref]) for ref in (left, right))
    width = shapes[right][-1]
    return (*one[:-1], two[-1] if right in names else (("unit" if left in names else None, width),))


def _convolve(op: Operation, names: Mapping[Ref, Names], shapes: Shapes) -> Names:
    shape = shapes[op.outputs[0]]  # type: ignore[index]
    old = [axis[0][0] for axis in _names(op, names, shapes)[2:]]
    places = old if any(old) else SPATIAL.get(len(shape) - 2, old)
    return single(["rows", "channel", *places], shape)


def _embed(op: Operation, names: Mapping[Ref, Names], shapes: Shapes) -> Names:
    return (*names[op.args[1]], (("d_model", shapes[op.args[0]][-1]),))


def _same(op: Operation, names: Mapping[Ref, Names], shapes: Shapes) -> Names:
    return _names(op, names, shapes)


def _resize(op: Operation, names: Mapping[Ref, Names], shapes: Shapes) -> Names:
    old, shape = _names(op, names, shapes), shapes[op.outputs[0]]  # type: ignore[index]
    return single([axis[0][0] if len(axis) == 1 else None for axis in old], shape)


def _join(op: Operation, names: Mapping[Ref, Names], shapes: Shapes) -> Names:
    parts = [ref for ref in op.args[0] if ref in names]
    found = names[parts[0]] if parts else ()
    joined = shapes[op.outputs[0]]  # type: ignore[index]
    if op.name == "cat" and found:
        return tuple(((axis[0][0], n),) if len(axis) == 1 else axis for axis, n in zip(found, joined, strict=True))
    if op.name == "stack":
        place = op.args[1] if len(op.args) > 1 else 0
        return (*found[:place], ((None, len(op.args[0])),), *found[place:])
    return found


RULES: dict[str, Callable[[Operation, Mapping[Ref, Names], Shapes], Names]] = {
    **dict.fromkeys(("permute", "transpose", "t"), _permute),
    **dict.fromkeys(("view", "_unsafe_view", "reshape", "_reshape_alias"), _view),
    **dict.fromkeys(("mm", "addmm", "bmm", "baddbmm"), _multiply),
    **dict.fromkeys(("mean", "sum", "amax", "amin", "var"), _reduce),
    **dict.fromkeys(("cat", "stack"), _join),
    **dict.fromkeys(("max_pool2d_with_indices", "avg_pool2d", "_adaptive_avg_pool2d", "upsample_nearest2d"), _resize),
    **dict.fromkeys(("native_layer_norm", "native_batch_norm", "_softmax", "constant_pad_nd", "slice"), _same),
    **dict.fromkeys(("split", "split_with_sizes", "masked_fill", "pow", "clone", "_to_copy"), _same),
    "_native_batch_norm_legit_no_training": _same,
    "_scaled_dot_product_flash_attention_for_cpu": _same,
    "unsqueeze": _unsqueeze,
    "squeeze": _squeeze,
    **dict.fromkeys(("select", "unbind"), _drop),
    "expand": _expand,
    "convolution": _convolve,
    "embedding": _embed,
}
"""Rule for the axes of each operation; elementwise operations need none."""
