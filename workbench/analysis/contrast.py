"""Contrasts: checks of clean and corrupted inputs, and the gap between them in a metric."""

from __future__ import annotations

from typing import Any

from jaxtyping import Float
from torch import Tensor

from workbench.core.errors import InputError, ShapeError
from workbench.core.intervals import mean_interval
from workbench.core.torch_internals import tree_leaves

CANCELLING = 0.2
"""A mean difference below this share of the mean absolute difference is refused: effects of both signs cancel."""


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
    """Compute the mean metric of the clean run minus that of the corrupted run.

    Every effect is measured against this gap, so it must be one that the examples share.

    Raises:
        InputError: The metric does not change, its changes cancel (their mean is below `CANCELLING` of their mean
            size), or the 95 % bootstrap interval of their mean over the examples holds 0.
    """
    difference = (clean - corrupted).double()
    gap, size, n = float(difference.mean()), float(difference.abs().mean()), len(difference)
    scale = float(clean.abs().mean() + corrupted.abs().mean())
    if not size > 1e-6 * scale:
        raise InputError(
            f"The metric is {float(clean.mean()):.4g} on the clean and {float(corrupted.mean()):.4g} on the corrupted "
            "run, so there is no effect to restore. Choose corrupted inputs that change the model's answer, or a "
            "metric that depends on the change."
        )
    low, high = mean_interval(difference).tolist()
    if abs(gap) < CANCELLING * size or low <= 0 <= high:
        raise InputError(
            f"The metric differs between the clean and the corrupted run by {size:.3g} on an example, but by only "
            f"{gap:.3g} in the mean of {n} (95 % interval {low:.3g} to {high:.3g}): examples move in both directions, "
            "so the mean is not an effect that they share. Give each example the sign of its difference (the metrics "
            "signed_logit, signed_logit_difference and signed_value, in Python core.metrics.Signed), choose a metric "
            "with one direction such as logit_difference, or take other or more inputs."
        )
    return gap
