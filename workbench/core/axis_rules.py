"""Rules for the axes of results: one for each kind of operation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from workbench.core.axis_names import (
    NAMELESS,
    PLACES,
    SPATIAL,
    UNITS,
    Axes,
    Axis,
    AxisTracker,
    Factor,
    agree,
    fresh,
    kind_of,
    length,
    like,
    regroup,
    use_as,
)
from workbench.core.torch_internals import TorchDispatchMode

Arguments = dict[str, Any]
Rule = Callable[[AxisTracker, Arguments, Tensor], Axes]

RESHAPES = ("view", "_unsafe_view", "reshape", "_reshape_alias", "unsqueeze", "squeeze")
KEEPS = (
    "softmax", "norm", "dropout", "clone", "detach", "alias", "copy", "lift_fresh", "cumsum", "roll", "flip", "fill",
    "expand", "slice", "split", "pool", "upsample", "pad", "triu", "tril",
)  # fmt: skip
"""Parts of names of operations on one tensor that keep the order and meaning of all axes."""


class FollowAxes(TorchDispatchMode):
    """Follow the axes of the inputs through every operation that runs inside the context."""

    def __init__(self, tracker: AxisTracker) -> None:
        super().__init__()
        self.tracker = tracker

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        bound = {a.name: value for a, value in zip(func._schema.arguments, args, strict=False)} | (kwargs or {})
        rule = rule_for(func)
        if rule is embed or any(self.tracker.knows(x) for x in operands(bound)):
            outputs = output if isinstance(output, (tuple, list)) else [output]
            for place, x in enumerate(x for x in outputs if isinstance(x, Tensor)):
                several = isinstance(output, tuple) and place
                self.tracker.set(x, fresh(x.shape) if rule is None or several else rule(self.tracker, bound, x))
        return output


def operands(bound: Arguments) -> list[Tensor]:
    """Return the tensors among the arguments of an operation."""
    found = []
    for value in bound.values():
        found += [x for x in (value if isinstance(value, (list, tuple)) else [value]) if isinstance(x, Tensor)]
    return found


def rule_for(func: Any) -> Rule | None:
    """Return the rule of an operation, or None if there is none."""
    name = func._schema.name.removeprefix("aten::").removesuffix("_")
    if name in RULES:
        return RULES[name]
    if name in RESHAPES:
        return lambda tracker, bound, out: regroup(tracker.of(first(bound)), out.shape)
    if "scaled_dot_product" in name:
        return attend
    if {"dim", "keepdim"} <= {argument.name for argument in func._schema.arguments}:
        return reduce
    if torch.Tag.pointwise in func.tags:
        return combine
    return keep if any(part in name for part in KEEPS) else None


def first(bound: Arguments) -> Tensor:
    """Return the first operand."""
    return operands(bound)[0]


def combine(tracker: AxisTracker, bound: Arguments, out: Tensor) -> Axes:
    """Handle an element-wise operation on operands that are broadcast to one shape."""
    found: list[Axis | None] = [None] * out.ndim
    for x in operands(bound):
        if tracker.knows(x):
            for place, axis in zip(reversed(range(out.ndim)), reversed(tracker.of(x)), strict=False):
                if length(axis) == out.shape[place]:
                    known = found[place]
                    found[place] = axis if known is None else agree(known, axis)
    return tuple((Factor(n),) if axis is None else axis for axis, n in zip(found, out.shape, strict=True))


def add(tracker: AxisTracker, bound: Arguments, out: Tensor) -> Axes:
    """Handle a sum: the features of its operands are one stream, also in the layers that wrote them."""
    axes = combine(tracker, bound, out)
    last = {tracker.of(x)[-1] for x in operands(bound) if tracker.knows(x) and x.ndim == out.ndim > 0}
    if len(last) == 2:
        for factor in chain(axes[-1], *last):
            factor.summed = True
    return axes


def keep(tracker: AxisTracker, bound: Arguments, out: Tensor) -> Axes:
    """Handle an operation on one tensor that may change the lengths of its axes; norms identify the axis of units."""
    x = next(x for x in operands(bound) if tracker.knows(x))
    axes = tracker.of(x)
    if len(axes) != out.ndim:
        return fresh(out.shape)
    if "running_mean" in bound or "group" in bound:
        use_as_channels(axes)
    elif "normalized_shape" in bound:
        use_as(axes[-1], "feature")
    return tuple(like(axis, n) for axis, n in zip(axes, out.shape, strict=True))


def use_as_channels(axes: Axes) -> None:
    """Record a use of the second axis as channels and of the axes after it as positions."""
    kinds = ("channel", *SPATIAL.get(len(axes) - 2, ())) if len(axes) > 2 else ("feature",)
    for axis, kind in zip(axes[1:], kinds, strict=False):
        use_as(axis, kind)


def permute(tracker: AxisTracker, bound: Arguments, out: Tensor) -> Axes:
    """Handle `permute`, `transpose` and `t`."""
    axes = list(tracker.of(bound["self"]))
    if "dims" in bound:
        return tuple(axes[dim] for dim in bound["dims"])
    one, other = bound.get("dim0", 0), bound.get("dim1", -1)
    axes[one], axes[other] = axes[other], axes[one]
    return tuple(axes)


def select(tracker: AxisTracker, bound: Arguments, out: Tensor) -> Axes:
    """Handle the selection of one entry of an axis, or of each in turn."""
    axes = list(tracker.of(bound["self"]))
    del axes[bound.get("dim", 0)]
    return tuple(axes)


def reduce(tracker: AxisTracker, bound: Arguments, out: Tensor) -> Axes:
    """Handle means, sums and maxima over some axes."""
    x, dims = bound["self"], bound.get("dim")
    if dims is None or dims == []:
        return fresh(out.shape)
    gone = {dim % x.ndim for dim in ([dims] if isinstance(dims, int) else dims)}
    axes = tracker.of(x)
    if bound.get("keepdim"):
        return tuple(like(axis, 1) if dim in gone else axis for dim, axis in enumerate(axes))
    return tuple(axis for dim, axis in enumerate(axes) if dim not in gone)


def convolve(tracker: AxisTracker, bound: Arguments, out: Tensor) -> Axes:
    """Handle a convolution, which creates channels and keeps positions."""
    x = tracker.of(bound["input"])
    kinds = SPATIAL.get(out.ndim - 2, ())
    use_as_channels(x)
    places = []
    for axis, kind, n in zip(x[2:], kinds, out.shape[2:], strict=False):
        known = kind_of(axis) or kind
        places.append((Factor(n, known if known in (None, *PLACES) else NAMELESS),))
    return (x[0], (Factor(out.shape[1], "channel"),), *places)


def multiply(tracker: AxisTracker, bound: Arguments, out: Tensor) -> Axes:
    """Handle a matrix product; a constant factor is the weight of a layer and creates features."""
    left, right = (bound["input"], bound["weight"]) if "weight" in bound else operands(bound)[-2:]
    rows, columns = tracker.of(left), tracker.of(right)
    if not tracker.knows(right):
        use_as(rows[-1], "feature")
        use_rows_as_positions([factor for axis in rows[:-1] for factor in axis])
        return (*rows[:-1], (Factor(out.shape[-1], "feature"),))
    if not tracker.knows(left):
        return (*columns[:-2], (Factor(out.shape[-2], "feature"),), columns[-1])
    both = [agree(one, other) for one, other in zip(rows[:-2], columns[:-2], strict=True)]
    return (*both, rows[-2], columns[-1])


def use_rows_as_positions(factors: Sequence[Factor]) -> None:
    """Record that a layer is applied at every position of an input of three axes."""
    for one, other in (factors, reversed(factors)) if len(factors) == 2 else ():
        if one.kind == "batch" and other.of_input:
            other.use_as("pos")


def attend(tracker: AxisTracker, bound: Arguments, out: Tensor) -> Axes:
    """Handle fused attention: queries of every head at every position."""
    axes = tracker.of(bound["query"])
    for x in (bound["query"], bound["key"], bound["value"]):
        for axis, kind in zip(tracker.of(x), (None, "head", "pos", "d_head"), strict=False):
            use_as(axis, kind)
    return (*axes[:-1], tracker.of(bound["value"])[-1])


def note_recurrent(tracker: AxisTracker, layer: nn.RNNBase, output: Any) -> None:
    """Record the axes that a recurrent layer returns, whose kernels cannot be followed."""
    outputs = output[0]
    if not isinstance(outputs, Tensor) or outputs.ndim != 3:
        return
    batch, pos = (Factor(outputs.shape[0], "batch"),), (Factor(outputs.shape[1], "pos"),)
    if not layer.batch_first:
        batch, pos = (Factor(outputs.shape[1], "batch"),), (Factor(outputs.shape[0], "pos"),)
    axes = (batch, pos) if layer.batch_first else (pos, batch)
    tracker.set(outputs, (*axes, (Factor(outputs.shape[2], "feature"),)))
    for state in output[1] if isinstance(output[1], tuple) else (output[1],):
        tracker.set(state, (*fresh(state.shape[:-1]), (Factor(state.shape[-1], "feature"),)))


def attend_natively(tracker: AxisTracker, bound: Arguments, out: Tensor) -> Axes:
    """Handle the fused layer of `nn.MultiheadAttention`, with its projections."""
    rows = tracker.of(bound["query"])[:-1]
    use_rows_as_positions([factor for axis in rows for factor in axis])
    return (*rows, (Factor(out.shape[-1], "feature"),))


def embed(tracker: AxisTracker, bound: Arguments, out: Tensor) -> Axes:
    """Handle an embedding, which creates features at positions. A table of positions gets them from a later sum."""
    axes = tracker.of(bound["indices"])
    if len(axes) == 2 and tracker.knows(bound["indices"]):
        use_as(axes[1], "pos")
    return (*axes, (Factor(out.shape[-1], "feature"),))


def concatenate(tracker: AxisTracker, bound: Arguments, out: Tensor) -> Axes:
    """Handle a concatenation; the axis keeps its kind if the operands agree."""
    dim = bound.get("dim", 0) % out.ndim
    known = [tracker.of(x) for x in bound["tensors"] if tracker.knows(x) and x.ndim == out.ndim]
    axes = list(known[0])
    for other in known[1:]:
        axes = [agree(a, b) if i != dim else a for i, (a, b) in enumerate(zip(axes, other, strict=True))]
    kinds = {kind_of(axes_of_one[dim]) for axes_of_one in known if any(f.size > 1 for f in axes_of_one[dim])}
    kind = kinds.pop() if len(kinds) == 1 else "feature" if kinds <= set(UNITS) else NAMELESS
    axes[dim] = (Factor(out.shape[dim], kind),)
    return tuple(axes)


def stack(tracker: AxisTracker, bound: Arguments, out: Tensor) -> Axes:
    """Handle a stack along a new axis."""
    dim = bound.get("dim", 0) % out.ndim
    axes = next(tracker.of(x) for x in bound["tensors"] if tracker.knows(x))
    return (*axes[:dim], (Factor(out.shape[dim]),), *axes[dim:])


def index(tracker: AxisTracker, bound: Arguments, out: Tensor) -> Axes:
    """Handle indexing by one tensor along one axis; other ways of indexing give unknown axes."""
    picks = bound["indices"] if "indices" in bound else [None] * (bound["dim"] % bound["self"].ndim) + [bound["index"]]
    places = [place for place, pick in enumerate(picks) if pick is not None]
    axes = list(tracker.of(bound["self"]))
    if len(places) != 1 or picks[places[0]].ndim != 1:
        return fresh(out.shape)
    axes[places[0]] = like(axes[places[0]], out.shape[places[0]])
    return tuple(axes)


RULES: dict[str, Rule] = {
    **dict.fromkeys(("permute", "transpose", "t"), permute),
    **dict.fromkeys(("select", "unbind"), select),
    **dict.fromkeys(("convolution", "mkldnn_convolution", "_convolution"), convolve),
    **dict.fromkeys(("mm", "addmm", "bmm", "baddbmm", "matmul", "_addmm_activation", "linear"), multiply),
    **dict.fromkeys(("index", "index_select"), index),
    "add": add,
    "_native_multi_head_attention": attend_natively,
    "embedding": embed,
    "cat": concatenate,
    "stack": stack,
}
