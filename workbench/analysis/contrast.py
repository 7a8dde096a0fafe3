"""Two inputs that differ in one respect, and how far apart they drive a metric."""

from __future__ import annotations

from typing import Any

from jaxtyping import Float
from torch import Tensor
from torch.utils._pytree import tree_leaves

from workbench.core.errors import InputError, ShapeError


def check_same_shape(inputs: Any, corrupted: Any) -> None:
    """Raises unless clean and corrupted inputs match number for number."""
    shapes, other = ([tuple(leaf.shape) for leaf in tree_leaves(x)] for x in (inputs, corrupted))
    if shapes != other:
        raise ShapeError(
            f"The clean inputs have shape {_said(shapes)} and the corrupted ones {_said(other)}. Patching swaps "
            "activations between them place by place: give as many examples, and prompts of as many tokens."
        )


def _said(shapes: list[tuple[int, ...]]) -> str:
    return " and ".join(map(str, shapes))


def metric_gap(clean: Float[Tensor, " batch"], corrupted: Float[Tensor, " batch"]) -> float:
    """Mean metric of the clean run minus that of the corrupted run; raises when there is nothing to explain."""
    gap = float(clean.mean() - corrupted.mean())
    scale = float(clean.abs().mean() + corrupted.abs().mean())
    if abs(gap) <= 1e-6 * scale or scale == 0:
        raise InputError(
            f"The metric is {float(clean.mean()):.4g} on the clean and {float(corrupted.mean()):.4g} on the corrupted "
            "run, so there is no effect to restore. Choose corrupted inputs that change the model's answer, or a "
            "metric that sees the change."
        )
    return gap
