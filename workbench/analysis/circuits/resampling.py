"""The same circuit from other examples: examples drawn with replacement, and what is stable over such draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from itertools import combinations
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.utils._pytree import tree_map

from workbench.analysis.circuits.faithfulness import Behaviour
from workbench.core.errors import InputError
from workbench.core.metrics import Metric
from workbench.core.random import generator

MOST_DRAWS = 2000
"""Draws of examples behind an interval."""


def rows_of(x: Any, rows: Int[Tensor, " draw"]) -> Any:
    """Some examples of inputs or writes, whatever tensors these are made of."""
    return tree_map(lambda leaf: leaf[rows] if isinstance(leaf, Tensor) else leaf, x)


def metric_of(metric: Metric, rows: Int[Tensor, " draw"], n: int) -> Metric:
    """The same metric for some of `n` examples: each field of a dataclass with one entry per example is drawn too."""
    if not is_dataclass(metric):
        raise InputError(
            f"{getattr(metric, '__name__', metric)!r} cannot be drawn for other examples. Write the metric as a frozen "
            "dataclass with one entry per example in its tensors, such as core.metrics.LogitDifference."
        )
    tensors = {f.name: getattr(metric, f.name) for f in fields(metric)}
    drawn = {name: x[rows] for name, x in tensors.items() if isinstance(x, Tensor) and x.ndim and len(x) == n}
    return replace(metric, **drawn)  # type: ignore[type-var]


def drawn(behaviour: Behaviour, rows: Int[Tensor, " draw"]) -> Behaviour:
    """The behaviour on some of its examples; costs two forward passes."""
    metric = metric_of(behaviour.metric, rows, len(behaviour.clean))
    return Behaviour.of(behaviour.graph, rows_of(behaviour.inputs, rows), rows_of(behaviour.other, rows), metric)


def draws(n: int, times: int, seed: int) -> Int[Tensor, "time draw"]:
    """Rows of `n` examples, drawn with replacement as many times as asked."""
    return torch.randint(n, (times, n), generator=generator(seed, "bootstrap"))


def faithfulness_interval(
    kept: Float[Tensor, " batch"], behaviour: Behaviour, seed: int, level: float = 0.95
) -> tuple[float, float]:
    """The percentile interval of faithfulness over draws of the examples (Efron 1979), all three means drawn together.

    Draws in which the gap is not above a hundredth of that of all examples are left out.
    """
    rows = draws(len(kept), MOST_DRAWS, seed)
    gap = (behaviour.clean - behaviour.cut)[rows].mean(dim=1) / behaviour.gap
    share = (kept - behaviour.cut)[rows].mean(dim=1)[gap > 0.01] / (gap[gap > 0.01] * behaviour.gap)
    low, high = share.double().quantile(torch.tensor([(1 - level) / 2, (1 + level) / 2]).double()).tolist()
    return low, high


def jaccard(one: Bool[Tensor, " edge"], other: Bool[Tensor, " edge"]) -> float:
    """Edges in both over edges in either; 1 when both are empty."""
    either = int((one | other).sum())
    return int((one & other).sum()) / either if either else 1.0


def pairwise_jaccard(circuits: Sequence[Bool[Tensor, " edge"]]) -> list[float]:
    """Of every pair of circuits."""
    return [jaccard(one, other) for one, other in combinations(circuits, 2)]
