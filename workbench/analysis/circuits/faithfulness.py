"""Faithfulness: the share of a behaviour that a circuit keeps when every other edge is cut."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from workbench.analysis.contrast import metric_gap
from workbench.core.graph import Graph
from workbench.core.metrics import Metric
from workbench.core.wiring import Masks

Spacing = Literal["usual", "log", "mib"]
MIB_SHARES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Shares of the edges at which MIB's circuit track measures CMD and CPR."""


@dataclass(frozen=True)
class Behaviour:
    """Behaviour to explain: the metric on these inputs, from its value with all edges cut to that of the model."""

    graph: Graph
    inputs: Any
    other: Mapping[str, Tensor]
    metric: Metric
    clean: Float[Tensor, " batch"]
    cut: Float[Tensor, " batch"]

    @classmethod
    def of(cls, graph: Graph, inputs: Any, other: Mapping[str, Tensor], metric: Metric) -> Behaviour:
        """Measure the behaviour on these inputs, cut edges carrying the `other` writes. Costs 2 forward passes."""
        ends = (metric_kept(graph, inputs, other, metric, graph.full(keep)) for keep in (1.0, 0.0))
        return cls(graph, inputs, other, metric, *ends)

    @cached_property
    def gap(self) -> float:
        """Mean metric of the model minus that with all edges cut; raises InputError if the examples share no effect."""
        return metric_gap(self.clean, self.cut)

    def faithfulness(self, keep: Masks) -> float:
        """Measure (m(circuit) - m(cut)) / (m(clean) - m(cut)) of batch means: 1 is the whole model, 0 no edge."""
        return float(self.share(self.run(keep)))

    def run(self, keep: Masks) -> Float[Tensor, " batch"]:
        """Run the circuit that keeps these edges and return the metric on each example."""
        return metric_kept(self.graph, self.inputs, self.other, self.metric, keep)

    def share(self, kept: Float[Tensor, "*any batch"]) -> Float[Tensor, "*any"]:
        """Compute the faithfulness from the metric of a circuit."""
        return (kept.mean(dim=-1) - self.cut.mean()) / self.gap


@torch.no_grad()
def metric_kept(
    graph: Graph, inputs: Any, other: Mapping[str, Tensor], metric: Metric, keep: Masks
) -> Float[Tensor, " batch"]:
    """Measure the metric of the circuit that keeps these edges while the others carry the other writes."""
    cut = {name: 1 - mask.float() for name, mask in keep.items()}
    with graph.patch(other, cut) as model:
        return metric(model(inputs))


def log_sizes(n_edges: int, points: int = 12) -> Int[Tensor, " size"]:
    """Return numbers of edges from one to all, evenly spaced on a logarithmic scale."""
    spaced = torch.logspace(0, float(torch.tensor(n_edges).log10()), points, dtype=torch.float64)
    return spaced.round().long().clamp(1, n_edges).unique()


def circuit_sizes(spacing: Spacing, n_edges: int) -> Int[Tensor, " size"]:
    """Return the numbers of edges at which circuits are measured, from few to all.

    "log" has twelve numbers, evenly spaced on a logarithmic scale. "usual" adds 60, 70, 80 and 90 % of the edges, which
    cover half of the area under a curve. "mib" has the ten percentages of MIB's circuit track (Mueller et al. 2025),
    rounded down as in MIB, so that the first ones may be 0.
    """
    if spacing == "mib":
        return torch.tensor([int(share * n_edges) for share in MIB_SHARES])
    upper = [round(tenth * n_edges / 10) for tenth in (6, 7, 8, 9) if spacing == "usual"]
    return torch.cat([log_sizes(n_edges), torch.tensor(upper, dtype=torch.long)]).clamp(min=1).unique()


def area(sizes: Int[Tensor, " size"], values: Float[Tensor, "*any size"], at_none: float, spacing: Spacing) -> Tensor:
    """Compute the area under a curve over the share of edges kept, from none to all, by the trapezoidal rule.

    At MIB's sizes it is MIB's area: over the nominal percentages, starting at the smallest of them.
    """
    if spacing == "mib":
        return torch.trapezoid(values.double(), torch.tensor(MIB_SHARES, dtype=torch.float64))
    share = torch.cat([torch.zeros(1), sizes / sizes[-1]]).double()
    first = torch.full_like(values[..., :1].double(), at_none)
    return torch.trapezoid(torch.cat([first, values.double()], dim=-1), share)


def cpr(sizes: Int[Tensor, " size"], faithfulness: Float[Tensor, "*any size"], spacing: Spacing = "usual") -> Tensor:
    """Compute MIB's circuit performance ratio: the area under the curve. Above 1 the circuit exceeds the model."""
    return area(sizes, faithfulness, 0.0, spacing)


def cmd(sizes: Int[Tensor, " size"], faithfulness: Float[Tensor, "*any size"], spacing: Spacing = "usual") -> Tensor:
    """Compute MIB's circuit-model distance: the area between the curve and 1. Lower is better."""
    return area(sizes, (1 - faithfulness).abs(), 1.0, spacing)
