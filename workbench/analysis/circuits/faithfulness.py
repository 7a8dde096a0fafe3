"""Faithfulness: how much of a behaviour a circuit keeps when every other edge is cut."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from workbench.analysis.contrast import metric_gap
from workbench.core.graph import Graph
from workbench.core.metrics import Metric
from workbench.core.wiring import Masks


@dataclass(frozen=True)
class Behaviour:
    """What is to be explained: the metric on these inputs, from its value with all edges cut to that of the model."""

    graph: Graph
    inputs: Any
    other: Mapping[str, Tensor]
    metric: Metric
    clean: Float[Tensor, " batch"]
    cut: Float[Tensor, " batch"]

    @classmethod
    def of(cls, graph: Graph, inputs: Any, other: Mapping[str, Tensor], metric: Metric) -> Behaviour:
        """The behaviour on these inputs, cut edges carrying the `other` writes; costs two forward passes."""
        ends = (metric_kept(graph, inputs, other, metric, graph.full(keep)) for keep in (1.0, 0.0))
        return cls(graph, inputs, other, metric, *ends)

    @property
    def gap(self) -> float:
        """Mean metric of the model minus that with all edges cut; raises when there is none."""
        return metric_gap(self.clean, self.cut)

    def faithfulness(self, keep: Masks) -> float:
        """(m(circuit) - m(cut)) / (m(clean) - m(cut)) of batch means: 1 is the whole model, 0 is nothing."""
        kept = metric_kept(self.graph, self.inputs, self.other, self.metric, keep)
        return float(kept.mean() - self.cut.mean()) / self.gap


@torch.no_grad()
def metric_kept(
    graph: Graph, inputs: Any, other: Mapping[str, Tensor], metric: Metric, keep: Masks
) -> Float[Tensor, " batch"]:
    """The metric of the circuit that keeps these edges; the others carry the other writes."""
    cut = {name: 1 - mask.float() for name, mask in keep.items()}
    with graph.patched(other, cut) as model:
        return metric(model(inputs))


def log_sizes(n_edges: int, points: int = 12) -> Int[Tensor, " size"]:
    """Numbers of edges, evenly spaced on a logarithmic scale, from one to all."""
    spaced = torch.logspace(0, float(torch.tensor(n_edges).log10()), points, dtype=torch.float64)
    return spaced.round().long().clamp(1, n_edges).unique()


def area(sizes: Int[Tensor, " size"], values: Float[Tensor, " size"], at_none: float) -> float:
    """Area under values over the share of edges kept, from none to all (trapezoids)."""
    share = torch.cat([torch.zeros(1), sizes / sizes[-1]])
    return float(torch.trapezoid(torch.cat([torch.tensor([at_none]), values.float()]), share))


def cpr(sizes: Int[Tensor, " size"], faithfulness: Float[Tensor, " size"]) -> float:
    """MIB's circuit performance ratio: the area under the curve; above 1 the circuit beats the model."""
    return area(sizes, faithfulness, 0.0)


def cmd(sizes: Int[Tensor, " size"], faithfulness: Float[Tensor, " size"]) -> float:
    """MIB's circuit-model distance: the area between the curve and 1; lower is better."""
    return area(sizes, (1 - faithfulness).abs(), 1.0)
