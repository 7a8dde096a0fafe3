"""Attribution patching on nodes: a first-order estimate of the effect of replacing each node's write (Nanda 2023)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from workbench.analysis.circuits.gradients import differentiate
from workbench.analysis.circuits.nodes import Effects, by_node, node_groups
from workbench.core.graph import Graph
from workbench.core.metrics import Metric


@torch.no_grad()
def atp(graph: Graph, inputs: Any, other: Mapping[str, Tensor], metric: Metric) -> Effects:
    """Estimate metric(write replaced) - metric(intact) to first order, for all nodes at once (AtP).

    The estimate is <other write - write, gradient of the metric at the write>, summed over all that the node writes. It
    is exact where the metric is linear in the write.

    Args:
        graph: The model's graph.
        inputs: Clean inputs, batch first.
        other: What each node writes instead, by hook. Only nodes of these hooks are scored.
        metric: Returns one number per example from the model's output.

    Returns:
        The effect of each node on each example, by hook, in units of the metric.

    Raises:
        InputError: If the metric is not differentiable.

    Cost: 1 forward and 1 backward pass.

    References: Nanda 2023.

    Example:
        >>> from workbench.analysis.circuits.nodes import node_groups
        >>> known = workbench.known_circuit("planted_vote")
        >>> other = known.graph.model.cache(known.corrupted, list(node_groups(known.graph, known.inputs)))
        >>> {hook: tuple(x.shape) for hook, x in atp(known.graph, known.inputs, other, known.metric).items()}
        {'hook_input': (5, 32), 'blocks.0.hook_post': (4, 32), 'blocks.1.hook_post': (4, 32)}
    """
    groups = {hook: group for hook, group in node_groups(graph, inputs).items() if hook in other}
    run = differentiate(graph, inputs, metric, list(groups))
    axes = {hook: graph.model.hook_dict[hook].axes for hook in groups}
    change = {hook: other[hook].to(run.values[hook]) - run.values[hook] for hook in groups}
    return {hook: by_node(change[hook] * run.gradients[hook], axes[hook], g)[0] for hook, g in groups.items()}
