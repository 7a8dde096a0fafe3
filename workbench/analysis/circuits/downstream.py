"""What follows a node, as a linear function of its write: a gradient, made to agree with one real change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import torch
from einops import rearrange, reduce
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from workbench.analysis.circuits.blocks import CleanRun
from workbench.core.errors import InputError
from workbench.core.graph import Graph
from workbench.core.hooked import HookFn
from workbench.core.metrics import Metric
from workbench.core.wiring import Masks

Activations = Mapping[str, Tensor]
Downstream = Literal["gradient", "path", "secant"]
VANISHING = 1e-4
"""A first-order effect below this share of the real one says that the gradient has vanished."""


@dataclass(frozen=True)
class Slope:
    """Estimate of what a change of each node of a group does to the metric, for each example.

    `gradient` and `change`, what the nodes write more in the other run, have the node's axis second; `missing` is what
    the gradient misses of the effect of that whole change, in the metric's units (None: not corrected).
    """

    graph: Graph
    hook: str
    gradient: Float[Tensor, "batch entry *rest"]
    change: Float[Tensor, "batch entry *rest"]
    missing: Float[Tensor, "batch node"] | None = None

    def effect(self, moved: Float[Tensor, "block batch entry *rest"]) -> Float[Tensor, "block batch node *pos"]:
        """For each block, the effect of its change of each node's write (by position where the graph keeps them).

        What the gradient misses is given to a block by the share of the whole change that it makes, from -1 to 1:
        Broyden's (1965) rank-one correction, bounded because the whole change may be next to nothing.
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
        """The slope that gives each node's whole change its real effect."""
        estimate = self.sum_by_node((self.gradient * self.change)[None])[0]
        return replace(self, missing=effects.T - estimate.reshape(*effects.T.shape, -1).sum(dim=-1))

    def sum_by_node(self, product: Float[Tensor, "block batch entry *rest"]) -> Float[Tensor, "block batch node *pos"]:
        """Sums over what belongs to one node (and one position, where the graph keeps them)."""
        group = self.graph.wiring.nodes[self.hook]
        kept = 3 if group.positions is None else 4
        total = product.flatten(kept).sum(dim=-1) if product.ndim > kept else product
        spare = group.size * group.width - total.shape[2]
        total = pad(total, (0, spare) if kept == 3 else (0, 0, 0, spare))
        return reduce(total, "block batch (node width) ... -> block batch node ...", "sum", width=group.width)


def slopes(
    graph: Graph,
    clean: CleanRun,
    other: Activations,
    metric: Metric,
    kind: Downstream = "secant",
    steps: int = 5,
) -> dict[str, Slope]:
    """The slope of every group of nodes that reads something.

    "gradient": at the clean run. "path": averaged over `steps` midpoints of the sources' way from the clean run to the
    other (as in EAP-IG). "secant": that, corrected by the real effect of each node's whole change. Costs 1 or `steps`
    forward and backward passes; a secant, for each node, the part of a forward pass that follows it.
    """
    writes, inputs = {hook: clean.activations[hook] for hook in graph.nodes}, clean.inputs
    gradients = gradients_at_writes(graph, inputs, metric, {}) if kind == "gradient" else {}
    for step in range(0 if kind == "gradient" else steps):
        share = (step + 0.5) / steps
        sources = {hook: writes[hook].lerp(other[hook].to(writes[hook]), share) for hook in graph.wiring.sources}
        for hook, gradient in gradients_at_writes(graph, inputs, metric, sources).items():
            gradients[hook] = gradients.get(hook, 0) + gradient / steps
    found = {
        hook: Slope(graph, hook, graph.group(hook, gradients[hook]), graph.group(hook, other[hook].to(x) - x))
        for hook, x in writes.items()
        if graph.nodes[hook].reads
    }
    if kind != "secant":
        return found
    return {hook: slope.correct(whole_effects(slope, clean, metric)) for hook, slope in found.items()}


@torch.enable_grad()
def gradients_at_writes(graph: Graph, inputs: Any, metric: Metric, sources: Activations) -> dict[str, Tensor]:
    """Gradient of each example's metric at every node's write; `sources` replaces what these write."""
    seen: dict[str, Tensor] = {}

    def see(hook: str, x: Tensor) -> Tensor:
        given = sources.get(hook, x)
        started = hook in graph.wiring.sources
        seen[hook] = given.detach().requires_grad_() if started else given.view_as(given)
        return seen[hook]

    handlers: dict[str, HookFn] = {hook: partial(see, hook) for hook in graph.nodes}
    with graph.model.attach(handlers):
        value = metric(graph.model(inputs))
    if not value.requires_grad:
        raise InputError(
            "This metric has no gradient, so edges cannot be attributed with it. Choose a differentiable one such as "
            "logit_difference, or the method 'exact'."
        )
    found = torch.autograd.grad(value.sum(), list(seen.values()), materialize_grads=True)
    return dict(zip(seen, found, strict=True))


def refuse_flat(found: Mapping[str, Slope], scores: Masks) -> None:
    """Raises when the metric does not move, to first order, though cutting edges into the sinks moves it."""
    first_order = sum(
        float((slope.gradient * slope.change).abs().sum()) / len(slope.change) for slope in found.values()
    )
    if found and first_order < VANISHING * sum(float(score.abs().sum()) for score in scores.values()):
        raise InputError(
            "The metric's gradient vanishes at the clean run, as it does for every distance to the clean output, so "
            "nothing is known of what follows a node. Estimate it by 'secant', or choose a metric such as "
            "logit_difference."
        )


@torch.no_grad()
def whole_effects(slope: Slope, clean: CleanRun, metric: Metric) -> Float[Tensor, "node batch"]:
    """metric - clean metric when one node writes more by its whole change, for every node of a group.

    Costs, for each node, the part of a forward pass that follows it.
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
