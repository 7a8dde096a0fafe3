"""Bootstrap over examples: intervals of faithfulness and CMD, and overlap of circuits traced on resampled examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from itertools import combinations
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor

from workbench.analysis.circuits.faithfulness import Behaviour, Spacing, cmd
from workbench.core.errors import InputError
from workbench.core.intervals import bootstrap_interval
from workbench.core.metrics import Metric, name_of
from workbench.core.random import generator
from workbench.core.torch_internals import tree_map


def rows_of(x: Any, rows: Int[Tensor, " draw"]) -> Any:
    """Select rows from all tensors of inputs or writes."""
    return tree_map(lambda leaf: leaf[rows] if isinstance(leaf, Tensor) else leaf, x)


def metric_of(metric: Metric, rows: Int[Tensor, " draw"], n: int) -> Metric:
    """Select rows of a metric that was made for `n` examples.

    Rows are selected in each tensor of the dataclass with one entry per example, and in a metric inside it.
    """
    if not is_dataclass(metric):
        raise InputError(
            f"Rows of the metric {name_of(metric)!r} cannot be selected. Write it as a frozen "
            "dataclass with one entry per example in its tensors, such as core.metrics.LogitDifference."
        )
    held = {f.name: getattr(metric, f.name) for f in fields(metric)}
    drawn: dict[str, Any] = {
        name: x[rows] for name, x in held.items() if isinstance(x, Tensor) and x.ndim and len(x) == n
    }
    drawn |= {name: metric_of(x, rows, n) for name, x in held.items() if callable(x)}
    return replace(metric, **drawn)  # type: ignore[type-var]


def draw_behaviour(behaviour: Behaviour, rows: Int[Tensor, " draw"]) -> Behaviour:
    """Measure the behaviour on some of its examples. Costs 2 forward passes."""
    metric = metric_of(behaviour.metric, rows, len(behaviour.clean))
    return Behaviour.of(behaviour.graph, rows_of(behaviour.inputs, rows), rows_of(behaviour.other, rows), metric)


def draws(n: int, times: int, seed: int) -> Int[Tensor, "time draw"]:
    """Draw rows of `n` examples with replacement, `times` times."""
    return torch.randint(n, (times, n), generator=generator(seed, "bootstrap"))


def faithfulness_interval(
    kept: Float[Tensor, "*any batch"], behaviour: Behaviour, seed: int = 0, level: float = 0.95
) -> Float[Tensor, "2 *any"]:
    """Compute the bootstrap interval of faithfulness over the examples, with its three means on the same draws."""
    width = 1 + kept[..., 0].numel() // kept.shape[-1]
    return bootstrap_interval(
        lambda rows: draw_shares(kept, behaviour, rows), len(behaviour.clean), seed=seed, level=level, width=width
    )


def draw_shares(
    kept: Float[Tensor, "*any batch"], behaviour: Behaviour, rows: Int[Tensor, "draw row"]
) -> Float[Tensor, "*any draw"]:
    """Compute the faithfulness on draws of the examples. The gap of a draw is at least a hundredth of the whole gap."""
    n = len(behaviour.clean)
    weight = torch.zeros(len(rows), n, dtype=torch.float64)
    weight.scatter_add_(1, rows, torch.full(rows.shape, 1 / n, dtype=torch.float64))
    mean = lambda x: x.double().cpu() @ weight.T
    gap = (mean(behaviour.clean - behaviour.cut) / behaviour.gap).clamp(min=0.01) * behaviour.gap
    return mean(kept - behaviour.cut) / gap


def cmd_interval(
    kept: Float[Tensor, "size batch"], behaviour: Behaviour, sizes: Int[Tensor, " size"], spacing: Spacing, seed: int
) -> tuple[float, float]:
    """Compute the bootstrap interval of CMD over the examples, from the metric of the circuit of each size."""

    def distance(rows: Tensor) -> Tensor:
        return cmd(sizes, draw_shares(kept, behaviour, rows).T, spacing)

    low, high = bootstrap_interval(distance, len(behaviour.clean), seed=seed, width=len(sizes)).tolist()
    return low, high


def random_cmd_interval(
    kept: Float[Tensor, "order size batch"],
    behaviour: Behaviour,
    sizes: Int[Tensor, " size"],
    spacing: Spacing,
    seed: int,
) -> tuple[float, float]:
    """Compute the bootstrap interval of the mean CMD of random circuits, over both examples and circuits."""

    def distance(rows: Tensor, orders: Tensor) -> Tensor:
        shares = draw_shares(kept, behaviour, rows)
        found = cmd(sizes, rearrange(shares, "order size draw -> draw order size"), spacing)
        return found.gather(1, orders).mean(dim=1)

    groups = len(behaviour.clean), len(kept)
    low, high = bootstrap_interval(distance, *groups, seed=seed, width=kept[..., 0].numel()).tolist()
    return low, high


def jaccard(one: Bool[Tensor, " edge"], other: Bool[Tensor, " edge"]) -> float:
    """Compute the Jaccard index of two circuits: edges in both over edges in either, 1 if both are empty."""
    either = int((one | other).sum())
    return int((one & other).sum()) / either if either else 1.0


def pairwise_jaccard(circuits: Sequence[Bool[Tensor, " edge"]]) -> list[float]:
    """Compute the Jaccard index of every pair of circuits."""
    return [jaccard(one, other) for one, other in combinations(circuits, 2)]
