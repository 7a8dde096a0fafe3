"""Exact node patching: what replacing one node's write really does, node by node."""

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
    """metric(write replaced by the other run's) - metric(intact) for every node whose hook is in `other`.

    This cuts all edges that leave the node at once (Vig et al. 2020; Meng et al. 2022). Costs one forward pass and,
    for each node, the part of one that follows it; nodes of one layer share such runs as blocks of the batch.
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
