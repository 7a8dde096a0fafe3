"""Effect of a node's write on the metric as a linear function: a gradient, corrected to match one real change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from einops import rearrange, reduce
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from workbench.analysis.circuits.blocks import CleanRun
from workbench.analysis.circuits.gradients import average, differentiate, interpolate_sources, require_first_order
from workbench.core.graph import Graph
from workbench.core.metrics import Metric
from workbench.core.wiring import Masks

Activations = Mapping[str, Tensor]
Downstream = Literal["gradient", "path", "secant"]


@dataclass(frozen=True)
class Slope:
    """Linear estimate of the effect on the metric when nodes of a group change their write, for each example.

    `gradient` and `change`, the difference between the other and the clean write, have the node's axis second.
    `missing` is the real effect of that whole change minus the estimate, in the metric's units (None: no correction).
    """

    graph: Graph
    hook: str
    gradient: Float[Tensor, "batch entry *rest"]
    change: Float[Tensor, "batch entry *rest"]
    missing: Float[Tensor, "batch node"] | None = None

    def effect(self, moved: Float[Tensor, "block batch entry *rest"]) -> Float[Tensor, "block batch node *pos"]:
        """Estimate the effect of each block's change of each node's write (by position where the graph keeps them).

        `missing` is added in proportion to the share of the whole change that a block makes: Broyden's (1965) rank-one
        correction. The share is clamped to -1..1 because the whole change may be close to zero.
        """
        estimate = self.sum_by_node(moved * self.gradient)
        if self.missing is None:
            return estimate
        along, whole = self.sum_by_node(moved * self.change), self.sum_by_node(self.change[None] ** 2)
        missing = self.missing[None]
        if along.ndim > missing.ndim:
            whole, missing = whole.sum(dim=-1, keepdim=True), missing[..., None]
        return estimate + torch.where(whole > 0, along / whole, 0).clamp(-1, 1) * missing

    def correct(self, effects: Float[Tensor, "node batch"]) -> Slope:
        """Return the slope that matches the real effect of each node's whole change."""
        estimate = self.sum_by_node((self.gradient * self.change)[None])[0]
        return replace(self, missing=effects.T - estimate.reshape(*effects.T.shape, -1).sum(dim=-1))

    def sum_by_node(self, product: Float[Tensor, "block batch entry *rest"]) -> Float[Tensor, "block batch node *pos"]:
        """Sum over the entries of each node (and each position, where the graph keeps them)."""
        group = self.graph.wiring.nodes[self.hook]
        kept = 3 if group.positions is None else 4
        total = product.flatten(kept).sum(dim=-1) if product.ndim > kept else product
        spare = group.size * group.width - total.shape[2]
        total = pad(total, (0, spare) if kept == 3 else (0, 0, 0, spare))
        return reduce(total, "block batch (node width) ... -> block batch node ...", "sum", width=group.width)


def fit_slopes(
    graph: Graph,
    clean: CleanRun,
    other: Activations,
    metric: Metric,
    kind: Downstream = "secant",
    steps: int = 5,
) -> dict[str, Slope]:
    """Fit a slope for every group of nodes that reads something.

    Args:
        graph: The model's graph.
        clean: The run on the clean inputs.
        other: What each node writes in the other run, by hook.
        metric: Returns one number per example from the model's output.
        kind: "gradient" at the clean run; "path" averaged over `steps` midpoints of the straight line between the
            sources' writes in both runs, as in EAP-IG; "secant" the same, corrected by the real effect of each node's
            whole change.
        steps: Number of midpoints.

    Cost: 1 or `steps` forward and backward passes; for "secant" also, for each node, the stages after it.
    """
    writes = {hook: clean.activations[hook] for hook in graph.nodes}
    if kind == "gradient":
        gradients = gradients_at_writes(graph, clean.inputs, metric)
    else:
        runs = interpolate_sources(graph, writes, other, steps)
        gradients = average((gradients_at_writes(graph, clean.inputs, metric, sources) for sources in runs), steps)
    found = {
        hook: Slope(graph, hook, graph.group(hook, gradients[hook]), graph.group(hook, other[hook].to(x) - x))
        for hook, x in writes.items()
        if graph.nodes[hook].reads
    }
    if kind != "secant":
        return found
    return {hook: slope.correct(whole_effects(slope, clean, metric)) for hook, slope in found.items()}


def gradients_at_writes(
    graph: Graph, inputs: Any, metric: Metric, sources: Activations | None = None
) -> dict[str, Tensor]:
    """Return the gradient of each example's metric at every node's write."""
    run = differentiate(graph, inputs, metric, list(graph.nodes), sources)
    return {hook: gradients[0] for hook, gradients in run.gradients.items()}


def require_slopes(found: Mapping[str, Slope], scores: Masks) -> None:
    """Raise InputError if all slopes are flat although cutting edges into the sinks changes the metric."""
    first_order = sum(
        float((slope.gradient * slope.change).abs().sum()) / len(slope.change) for slope in found.values()
    )
    if found:
        require_first_order(first_order, sum(float(score.abs().sum()) for score in scores.values()), "'secant'")


@torch.no_grad()
def whole_effects(slope: Slope, clean: CleanRun, metric: Metric) -> Float[Tensor, "node batch"]:
    """Measure metric - clean metric when one node makes its whole change, for every node of a group.

    Cost: for each node the stages after it.
    """
    graph, hook, change = slope.graph, slope.hook, slope.change
    group, intact = graph.wiring.nodes[hook], metric(clean.states[-1])
    room, found = clean.room(graph.model.stage_of(hook), len(graph.model.stages)), []
    for nodes in torch.arange(group.size).split(room):
        own = nodes[:, None] == torch.arange(change.shape[1]) // group.width
        only = rearrange(own.to(change), f"block entry -> block 1 entry {'1 ' * (change.ndim - 2)}")
        written = graph.group(hook, clean.activations[hook]) + change * only
        replaced = graph.ungroup(hook, written.flatten(0, 1))
        found.append(clean.measure(hook, replaced, len(nodes), metric) - intact)
    return torch.cat(found)
