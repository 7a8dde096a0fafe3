"""HISP: the head importance score for pruning, for nodes of every kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from workbench.analysis.circuits.node_attribution import atp
from workbench.analysis.circuits.nodes import Effects
from workbench.core.graph import Graph
from workbench.core.metrics import Metric


def hisp(graph: Graph, inputs: Any, other: Mapping[str, Tensor], metric: Metric) -> Effects:
    """|<change of the write, gradient of the metric>| of each node on each example; its mean over them is HISP.

    With zeros in `other` the change is the activation and this is Michel et al. (2019), equation 3: the expected
    absolute sensitivity to the node's gate, without their normalisation by layer. Strengths >= 0 that only rank; the
    absolute value comes before the mean, so effects that differ in sign between examples do not cancel. Costs one
    forward and one backward pass.
    """
    return {hook: effect.abs() for hook, effect in atp(graph, inputs, other, metric).items()}
