"""Operations of a tape that are affine in the activations, and the linear part of each.

An operation is affine when it sums, moves or scales activations by constants, or applies weights to one of them.
Everything else (a non-linearity, a norm, a product of two activations) is computed inside a node of the graph.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch
from torch import Tensor

from workbench.core.tape import Operation, Ref, Tape
from workbench.core.torch_internals import tree_map


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


VIEWS = _words(
    "view _unsafe_view reshape _reshape_alias permute transpose t unsqueeze squeeze expand clone _to_copy detach alias "
    "contiguous lift_fresh"
)
"""Operations that keep every entry and only change the layout (or repeat it along a new axis)."""
MOVES = VIEWS | _words(
    "select slice split split_with_sizes unsafe_split unsafe_split_with_sizes chunk unsafe_chunk unbind narrow cat "
    "stack repeat index constant_pad_nd flip roll select_scatter slice_scatter copy pad"
)
"""Operations that move entries, drop some or join several values."""
SCALES = _words(
    "mul div neg rsub masked_fill mean sum avg_pool1d avg_pool2d _adaptive_avg_pool2d adaptive_avg_pool2d "
    "upsample_nearest2d upsample_bilinear2d"
)
"""Operations that are linear when one operand alone depends on the inputs."""
WEIGHTS = _words("addmm mm bmm mv convolution matmul linear baddbmm")
"""Operations that mix entries by weights when one operand alone depends on the inputs."""
NORMS = _words("native_batch_norm _native_batch_norm_legit_no_training cudnn_batch_norm")
"""Norms with statistics of their own; in evaluation mode they scale and shift."""
BIASED = _words("addmm baddbmm")


def is_affine(op: Operation, live: Collection[Ref]) -> bool:
    """Return whether an operation is affine in the live values that it reads, jointly."""
    read = [ref for ref in op.reads if ref in live]
    if op.name in MOVES:
        return op.name != "index" or (len(read) == 1 and op.args[0] == read[0])
    if op.name in ("add", "sub"):
        return True
    if op.name in ("div", "masked_fill"):
        return len(read) == 1 and op.args[0] == read[0]
    if op.name == "where":
        return op.args[0] not in live
    if op.name in BIASED:
        return len([ref for ref in op.args[1:3] if ref in live]) <= 1
    return op.name in SCALES | WEIGHTS | NORMS and len(read) == 1


def applies_weights(op: Operation, live: Collection[Ref]) -> bool:
    """Return whether an affine operation mixes a live value's entries by weights."""
    operands = op.args[1:3] if op.name in BIASED else op.args[:2]
    return op.name in WEIGHTS and any(isinstance(ref, Ref) and ref in live for ref in operands)


def linear_part(op: Operation, changes: Mapping[Ref, Tensor], tape: Tape, weights: Tensor | None = None) -> Any:
    """Apply the linear part of an affine operation to changes of what it reads.

    Args:
        op: An affine operation.
        changes: Change of each live value that it reads; a value without one does not change.
        tape: Tape with the same number of rows, for constants and shapes.
        weights: Used instead of the operation's own weights.

    Returns:
        The change of what the operation returns.
    """

    own = weights_of(op) if weights is not None else None

    def read(leaf: Any) -> Any:
        if not isinstance(leaf, Ref) or leaf in changes:
            return changes[leaf] if isinstance(leaf, Ref) else leaf
        if leaf in tape.constants:
            return weights if leaf == own else tape.constants[leaf]
        return next(iter(changes.values())).new_zeros(()).expand(tape.shapes[leaf])

    if op.name in ("add", "sub"):
        return _add(op, changes, tape.shapes[op.outputs[0]])  # type: ignore[index]
    if (special := LINEAR.get(op.name)) is not None:
        return special(op, changes, read)
    function = torch.reshape if op.name in ("view", "_unsafe_view") else op.function
    return function(*tree_map(read, op.args), **tree_map(read, op.kwargs))


def weights_of(op: Operation) -> Ref:
    """Return the weights of an operation in `WEIGHTS`."""
    return op.args[2] if op.name in BIASED else op.args[1]


def _add(op: Operation, changes: Mapping[Ref, Tensor], shape: tuple[int, ...]) -> Tensor:
    """Return the change of a sum or a difference."""
    left, right = op.args[:2]
    weight = op.kwargs.get("alpha", op.args[2] if len(op.args) > 2 else 1)
    total: Tensor | None = None
    for operand, factor in ((left, 1), (right, -weight if op.name == "sub" else weight)):
        if isinstance(operand, Ref) and operand in changes:
            term = changes[operand] if factor == 1 else changes[operand] * factor
            total = term if total is None else total + term
    assert total is not None
    return total if total.shape == shape else total.expand(shape)


def _join(op: Operation, changes: Mapping[Ref, Tensor], read: Callable[[Any], Any]) -> Tensor:
    """Return the change of joined values, with zeros for those that do not change."""

    def part(leaf: Any) -> Any:
        return torch.zeros_like(read(leaf)) if isinstance(leaf, Ref) and leaf not in changes else read(leaf)

    return op.function(*tree_map(part, op.args), **op.kwargs)


def _multiply(op: Operation, changes: Mapping[Ref, Tensor], read: Callable[[Any], Any]) -> Tensor:
    """Return the change of `beta * bias + alpha * a @ b`: those of the bias and of the product that change."""
    bias, *factors = op.args[:3]
    terms = []
    if any(ref in changes for ref in factors):
        left, right = map(read, factors)
        product = torch.mm(left, right) if op.name == "addmm" else torch.bmm(left, right)
        terms.append(product if (scale := op.kwargs.get("alpha", 1)) == 1 else product * scale)
    if bias in changes:
        change = changes[bias] * op.kwargs.get("beta", 1)
        shape = (*read(factors[0]).shape[:-1], read(factors[1]).shape[-1])
        terms.append(change if terms else change.expand(shape))
    return sum(terms[1:], terms[0])


def _convolve(op: Operation, changes: Mapping[Ref, Tensor], read: Callable[[Any], Any]) -> Tensor:
    """Return the convolution without its bias."""
    x, weight, _, *rest = tree_map(read, op.args)
    return op.function(x, weight, None, *rest)


def _normalize(op: Operation, changes: Mapping[Ref, Tensor], read: Callable[[Any], Any]) -> tuple[Tensor, None, None]:
    """Return the change times the gain of a norm in evaluation mode."""
    x, weight, _, _, variance = map(read, op.args[:5])
    eps = op.args[-1]
    gain = (variance + eps).rsqrt() if weight is None else weight * (variance + eps).rsqrt()
    return x * gain.reshape(1, -1, *[1] * (x.ndim - 2)), None, None


def _pad(op: Operation, changes: Mapping[Ref, Tensor], read: Callable[[Any], Any]) -> Tensor:
    """Return the change padded with zeros."""
    return torch.constant_pad_nd(read(op.args[0]), op.args[1], 0)


def _fill(op: Operation, changes: Mapping[Ref, Tensor], read: Callable[[Any], Any]) -> Tensor:
    """Return the change with zeros where a constant is filled in."""
    return read(op.args[0]).masked_fill(read(op.args[1]), 0)


def _choose(op: Operation, changes: Mapping[Ref, Tensor], read: Callable[[Any], Any]) -> Tensor:
    """Return the change of the values that a constant condition selects."""
    condition, left, right = op.args
    parts = [changes[x] if isinstance(x, Ref) and x in changes else torch.zeros(()) for x in (left, right)]
    like = next(changes[x] for x in (left, right) if isinstance(x, Ref) and x in changes)
    left_part, right_part = (part.to(like) for part in parts)
    return torch.where(read(condition), left_part, right_part)


def _subtract_reversed(op: Operation, changes: Mapping[Ref, Tensor], read: Callable[[Any], Any]) -> Tensor:
    """Return the change of `constant - alpha * x`."""
    alpha = op.kwargs.get("alpha", op.args[2] if len(op.args) > 2 else 1)
    return read(op.args[0]) * -alpha


LINEAR: dict[str, Callable[[Operation, Mapping[Ref, Tensor], Callable[[Any], Any]], Any]] = {
    "rsub": _subtract_reversed,
    "cat": _join,
    "stack": _join,
    "select_scatter": _join,
    "slice_scatter": _join,
    "copy": _join,
    "addmm": _multiply,
    "baddbmm": _multiply,
    "convolution": _convolve,
    "native_batch_norm": _normalize,
    "_native_batch_norm_legit_no_training": _normalize,
    "constant_pad_nd": _pad,
    "masked_fill": _fill,
    "where": _choose,
}
"""The linear part of each affine operation that is not linear itself."""
