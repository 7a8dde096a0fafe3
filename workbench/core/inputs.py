"""Checks of model inputs, and explanations of errors caused by inputs of the wrong form."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from torch import Tensor

from workbench.core.errors import InputError, WorkbenchError
from workbench.core.nested import tensors_in
from workbench.core.torch_internals import tree_leaves

RAW = (TypeError, ValueError, AttributeError, LookupError, RuntimeError)
"""Errors of Python and torch for inputs of the wrong form."""


def check_inputs(inputs: Any, name: str) -> None:
    """Raise InputError if an entry of the inputs is NaN or infinity.

    Minus infinity is allowed, because attention masks contain it.
    """
    for x in tensors_in(inputs):
        if x.is_floating_point() and (spoiled := x.isnan() | x.isposinf()).any():
            place = spoiled.nonzero()[0].tolist()
            raise InputError(
                f"{name!r} holds {x[tuple(place)].item()} at index {place} of its shape {tuple(x.shape)}, and "
                f"{int(spoiled.sum()) - 1} more such values. Replace what is not finite."
            )


class explain_input_errors:
    """Context that re-raises an error of a model as an InputError if its inputs have the wrong form."""

    def __init__(self, model: Any, inputs: Any) -> None:
        self.model, self.inputs = model, inputs

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, RAW) and not isinstance(error, WorkbenchError):
            explain_inputs(self.model, self.inputs, error)


def explain_inputs(model: Any, inputs: Any, error: Exception) -> None:
    """Raise InputError if inputs with which a model failed differ in form from its example."""
    taken, given = describe_inputs(model.example()), describe_inputs(inputs)
    if taken != given:
        reason = (str(error).splitlines() or [""])[0].rstrip(".")
        raise InputError(
            f"{type(model).__name__} cannot take these inputs ({type(error).__name__}: {reason}). It takes "
            f"{', '.join(taken)}, the batch first, and was given {', '.join(given) or 'nothing'}."
        ) from error


def describe_inputs(inputs: Any) -> list[str]:
    """Describe the dtype and shape of each tensor of inputs, without the number of rows."""
    return [
        f"{str(leaf.dtype).removeprefix('torch.')} {['batch', *leaf.shape[1:]]}"
        if isinstance(leaf, Tensor) and leaf.ndim
        else f"a {type(leaf).__name__}"
        for leaf in tree_leaves(inputs)
    ]
