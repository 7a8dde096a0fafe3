"""Exact node patching: the measured effect of replacing each node's write alone (Vig et al. 2020; Meng et al. 2022)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from workbench.analysis.circuits.nodes import Effects, node_groups, places
from workbench.core.graph import Graph
from workbench.core.interventions import patch
from workbench.core.metrics import Metric
from workbench.core.progress import Progress, silent
from workbench.core.stages import sweep


@torch.no_grad()
def patch_nodes(
    graph: Graph, inputs: Any, other: Mapping[str, Tensor], metric: Metric, progress: Progress = silent
) -> Effects:
    """Measure metric(write replaced) - metric(intact) for every node whose hook is in `other`.

    Replacing a write cuts all edges that leave the node at once. Nodes of one layer share runs as blocks of the batch.

    Args:
        graph: The model's graph.
        inputs: Clean inputs, batch first.
        other: What each node writes instead, by hook.
        metric: Returns one number per example from the model's output.
        progress: Called with the number of finished nodes and their total.

    Returns:
        The effect of each node on each example, by hook, in units of the metric.

    Cost: 1 forward pass, and for each node the stages after it.

    References: Vig et al. 2020; Meng et al. 2022.
    """
    groups = {hook: group for hook, group in node_groups(graph, inputs).items() if hook in other}
    nodes = list(places(groups))
    conditions = [[], *([patch(site, other[hook])] for site, hook, _ in nodes)]
    values = sweep(graph.model, inputs, conditions, metric, progress=progress)
    effects = {
        hook: values.new_zeros(group.size, *([] if group.positions is None else [group.positions]), values.shape[1])
        for hook, group in groups.items()
    }
    for (_, hook, place), value in zip(nodes, values[1:], strict=True):
        effects[hook][place] = value - values[0]
    return effects
