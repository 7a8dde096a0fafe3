"""Optimal ablation: constant writes that change the metric least (Li and Janson 2024).

1. Start from the mean of the corrupted writes.
2. At each step draw a share between 0 and 1, let a random set of that share of the nodes write their constants, and
   minimize the mean square of metric - intact metric with Adam.
3. Keep the constants with the smallest loss when every node writes its constant, so they are never worse than means.

Li and Janson train constants for each circuit; these are trained once for circuits of all sizes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from workbench.analysis.circuits.attribution import other_writes
from workbench.core.graph import Graph
from workbench.core.metrics import Metric
from workbench.core.progress import Progress, silent
from workbench.core.random import generator

STEPS, RATE = 100, 0.05
"""Steps of Adam, and its learning rate in standard deviations of each group of writes."""


def optimal_writes(
    graph: Graph, inputs: Any, corrupted: Any, metric: Metric, seed: int = 0, progress: Progress = silent
) -> dict[str, Tensor]:
    """Train one constant write per node (and position and place), the same for every example.

    Args:
        graph: The model's graph.
        inputs: Clean inputs, batch first.
        corrupted: Inputs whose mean writes are the starting point.
        metric: Returns one number per example from the model's output.
        seed: Seeds the random sets of nodes.
        progress: Called with the number of finished steps and their total.

    Returns:
        The constant writes by hook.

    Cost: 4 forward passes, and 2 forward and 1 backward pass for each of 100 steps.

    References: Li and Janson 2024.
    """
    start = other_writes(graph, corrupted, "mean")
    with torch.no_grad():
        intact = metric(graph.model(inputs)).detach()
        spread = {hook: x.std().clamp_min(1e-6) for hook, x in graph.writes(corrupted).items()}
    shifts = {hook: torch.zeros_like(x[:1]).requires_grad_() for hook, x in start.items()}
    optimizer = torch.optim.Adam(shifts.values(), lr=RATE)
    random, best, least = generator(seed, "optimal ablation"), start, float("inf")
    for step in range(STEPS + 1):
        with torch.enable_grad():
            constants = {hook: start[hook] + spread[hook] * shift for hook, shift in shifts.items()}
        with torch.no_grad():
            loss = float(distance(graph, inputs, metric, intact, constants, None))
        if loss < least:
            best, least = {hook: x.detach().clone() for hook, x in constants.items()}, loss
        if step == STEPS:
            break
        optimizer.zero_grad()
        with torch.enable_grad():
            chosen = {hook: draw_nodes(graph, hook, x, random) for hook, x in constants.items()}
            distance(graph, inputs, metric, intact, constants, chosen).backward(inputs=list(shifts.values()))
        optimizer.step()
        progress(step + 1, STEPS)
    return best


def draw_nodes(graph: Graph, hook: str, x: Tensor, random: torch.Generator) -> Tensor:
    """Draw the nodes of a group that write their constants in this step: 1 for those, in the shape of the write."""
    share = torch.rand(1, generator=random)
    nodes = (torch.rand(graph.size[hook], generator=random) < share).to(x)
    grouped = graph.group(hook, x)
    return graph.ungroup(hook, nodes.reshape(1, -1, *[1] * (grouped.ndim - 2)).expand_as(grouped))


def distance(
    graph: Graph,
    inputs: Any,
    metric: Metric,
    intact: Tensor,
    constants: Mapping[str, Tensor],
    chosen: Mapping[str, Tensor] | None,
) -> Tensor:
    """Measure the mean square of metric - intact when the chosen nodes (None: all) write their constants."""

    def replaced(hook: str) -> Any:
        instead = constants[hook]
        return lambda x: instead.expand_as(x) if chosen is None else x + chosen[hook] * (instead - x)

    with graph.model.attach({hook: replaced(hook) for hook in graph.nodes}):
        return (metric(graph.model(inputs)) - intact).pow(2).mean()
