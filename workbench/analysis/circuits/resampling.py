"""The same circuit from other examples: examples drawn with replacement, and what is stable over such draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from itertools import combinations
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.utils._pytree import tree_map

from workbench.analysis.circuits.faithfulness import Behaviour, Spacing, cmd
from workbench.core.errors import InputError
from workbench.core.intervals import bootstrap_interval
from workbench.core.metrics import Metric, name_of
from workbench.core.random import generator


def rows_of(x: Any, rows: Int[Tensor, " draw"]) -> Any:
    """Some examples of inputs or writes, whatever tensors these are made of."""
    return tree_map(lambda leaf: leaf[rows] if isinstance(leaf, Tensor) else leaf, x)


def metric_of(metric: Metric, rows: Int[Tensor, " draw"], n: int) -> Metric:
    """The same metric for some of `n` examples.

    Each tensor of a dataclass with one entry per example is drawn too, and so is a metric inside it.
    """
    if not is_dataclass(metric):
        raise InputError(
            f"{name_of(metric)!r} cannot be drawn for other examples. Write the metric as a frozen "
            "dataclass with one entry per example in its tensors, such as core.metrics.LogitDifference."
        )
    held = {f.name: getattr(metric, f.name) for f in fields(metric)}
    drawn: dict[str, Any] = {
        name: x[rows] for name, x in held.items() if isinstance(x, Tensor) and x.ndim and len(x) == n
    }
    drawn |= {name: metric_of(x, rows, n) for name, x in held.items() if callable(x)}
    return replace(metric, **drawn)  # type: ignore[type-var]


def draw_behaviour(behaviour: Behaviour, rows: Int[Tensor, " draw"]) -> Behaviour:
    """The behaviour on some of its examples; costs two forward passes."""
    metric = metric_of(behaviour.metric, rows, len(behaviour.clean))
    return Behaviour.of(behaviour.graph, rows_of(behaviour.inputs, rows), rows_of(behaviour.other, rows), metric)


def draws(n: int, times: int, seed: int) -> Int[Tensor, "time draw"]:
    """Rows of `n` examples, drawn with replacement as many times as asked."""
    return torch.randint(n, (times, n), generator=generator(seed, "bootstrap"))


def faithfulness_interval(
    kept: Float[Tensor, "*any batch"], behaviour: Behaviour, seed: int = 0, level: float = 0.95
) -> Float[Tensor, "2 *any"]:
    """The bootstrap interval of faithfulness over the examples, its three means drawn together."""
    width = 1 + kept[..., 0].numel() // kept.shape[-1]
    return bootstrap_interval(
        lambda rows: draw_shares(kept, behaviour, rows), len(behaviour.clean), seed=seed, level=level, width=width
    )


def draw_shares(
    kept: Float[Tensor, "*any batch"], behaviour: Behaviour, rows: Int[Tensor, "draw row"]
) -> Float[Tensor, "*any draw"]:
    """Faithfulness on draws of the examples; the gap of a draw counts as a hundredth of the whole one at least."""
    n = len(behaviour.clean)
    weight = torch.zeros(len(rows), n, dtype=torch.float64)
    weight.scatter_add_(1, rows, torch.full(rows.shape, 1 / n, dtype=torch.float64))
    mean = lambda x: x.double().cpu() @ weight.T
    gap = (mean(behaviour.clean - behaviour.cut) / behaviour.gap).clamp(min=0.01) * behaviour.gap
    return mean(kept - behaviour.cut) / gap


def cmd_interval(
    kept: Float[Tensor, "size batch"], behaviour: Behaviour, sizes: Int[Tensor, " size"], spacing: Spacing, seed: int
) -> tuple[float, float]:
    """The bootstrap interval of CMD over the examples, from the metric of the circuit of each size."""

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
    """The bootstrap interval of the mean CMD of random circuits, over the examples and over the circuits at once."""

    def distance(rows: Tensor, orders: Tensor) -> Tensor:
        shares = draw_shares(kept, behaviour, rows)
        found = cmd(sizes, rearrange(shares, "order size draw -> draw order size"), spacing)
        return found.gather(1, orders).mean(dim=1)

    groups = len(behaviour.clean), len(kept)
    low, high = bootstrap_interval(distance, *groups, seed=seed, width=kept[..., 0].numel()).tolist()
    return low, high


def jaccard(one: Bool[Tensor, " edge"], other: Bool[Tensor, " edge"]) -> float:
    """Edges in both over edges in either; 1 when both are empty."""
    either = int((one | other).sum())
    return int((one & other).sum()) / either if either else 1.0


def pairwise_jaccard(circuits: Sequence[Bool[Tensor, " edge"]]) -> list[float]:
    """Of every pair of circuits."""
    return [jaccard(one, other) for one, other in combinations(circuits, 2)]
