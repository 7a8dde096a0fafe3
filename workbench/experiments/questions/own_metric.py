"""Metrics by name: those of the workbench, and a function of the caller's own."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from workbench.checkpoints.present import present_metric
from workbench.checkpoints.source_code import Origin, definition_of, is_shipped, module_of, shipped_versions
from workbench.core.errors import InputError, short
from workbench.core.metrics import METRICS, Metric, Question


def name_metric(metric: Any) -> str:
    """Return the name of a metric of the caller's own: that of its function or of its class.

    Raises:
        InputError: If it cannot be called, has no name, or has that of a metric of the workbench.
    """
    if not callable(metric):
        raise InputError(
            f"metric={short(metric)} is neither a name nor a function. Pass a name such as 'logit', or a function from "
            "the output to one number per example."
        )
    plain = metric.func if isinstance(metric, partial) else metric
    name = getattr(plain, "__name__", type(plain).__name__)
    if name == "<lambda>":
        raise InputError("The metric is a lambda, which has no name to store its result by. Define it with `def`.")
    if name in METRICS:
        raise InputError(f"{name!r} is the name of a metric of the workbench. Give your function another name.")
    return name


def is_metric(name: str) -> bool:
    """Test if a name is that of a metric, or of the one that the caller passed."""
    return name in METRICS or present_metric(name) is not None


def metric_root(name: str) -> Any:
    """Return the object whose code computes a metric."""
    return METRICS[name] if (own := present_metric(name)) is None else own


def metric_code(name: str) -> Origin:
    """Return the code that computes a metric; empty without a name."""
    if not name:
        return Origin()
    root = metric_root(name)
    shipped = present_metric(name) is not None and is_shipped(module_of(root))
    return Origin(versions=shipped_versions([root])) if shipped else Origin((root,))


def metric_definition(name: str) -> str:
    """Name the function of a metric by its module; a callable object by its class, because its values count apart."""
    if not name:
        return ""
    root = metric_root(name)
    plain = root.func if isinstance(root, partial) else root
    if hasattr(plain, "__qualname__"):
        return definition_of(plain)
    return f"{module_of(type(plain))}:{type(plain).__qualname__}"


def build_metric(name: str, question: Question, rows: int) -> Metric:
    """Build a metric for some inputs; one of the caller's own is tried on the clean output."""
    own = present_metric(name)
    if own is None:
        return METRICS[name](question)
    try:
        with torch.no_grad():
            values, again = own(question.clean), own(question.clean)
    except Exception as error:  # a function of the caller's may fail in any way
        raise InputError(
            f"The metric {name!r} fails on the network's output ({type(error).__name__}: {short(str(error))}). It gets "
            f"a {type(question.clean).__name__} and should return one number for each of its {rows} examples."
        ) from error
    if not isinstance(values, Tensor) or values.shape != (rows,) or not values.is_floating_point():
        kind = f"{values.dtype} of shape {tuple(values.shape)}" if isinstance(values, Tensor) else type(values).__name__
        raise InputError(f"The metric {name!r} returns {kind} for {rows} examples. Return one number for each example.")
    if not isinstance(again, Tensor) or not torch.allclose(values, again, equal_nan=True):
        raise InputError(
            f"The metric {name!r} returns other numbers for the same output: it draws random numbers or keeps a state. "
            "Give it a seed, or let it depend on the output alone."
        )
    return own
