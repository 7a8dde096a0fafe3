"""HISP, the head importance score for pruning (Michel et al. 2019), for nodes of every kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from workbench.analysis.circuits.node_attribution import atp
from workbench.analysis.circuits.nodes import Effects
from workbench.core.graph import Graph
from workbench.core.metrics import Metric


def hisp(graph: Graph, inputs: Any, other: Mapping[str, Tensor], metric: Metric) -> Effects:
    """Compute |<change of the write, gradient of the metric>| of each node on each example.

    The mean over examples is HISP. With zeros in `other` it is equation 3 of Michel et al. (2019), the expected
    absolute sensitivity to the node's gate, without their normalisation by layer. The absolute value is taken before
    the mean, so effects of opposite sign on different examples do not cancel.

    Args:
        graph: The model's graph.
        inputs: Clean inputs, batch first.
        other: What each node writes instead, by hook. Only nodes of these hooks are scored.
        metric: Returns one number per example from the model's output.

    Returns:
        The strength (>= 0) of each node on each example, by hook. Strengths only rank nodes.

    Raises:
        InputError: If the metric is not differentiable.

    Cost: 1 forward and 1 backward pass.

    References: Michel et al. 2019.

    Example:
        >>> known = workbench.known_circuit("planted_vote")
        >>> nothing = {hook: torch.zeros_like(x) for hook, x in known.graph.writes(known.inputs).items()}
        >>> scores = hisp(known.graph, known.inputs, nothing, known.metric)
        >>> min(float(score.min()) for score in scores.values()) >= 0
        True
    """
    return {hook: effect.abs() for hook, effect in atp(graph, inputs, other, metric).items()}
