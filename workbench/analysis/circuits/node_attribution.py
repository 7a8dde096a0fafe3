"""Attribution patching on nodes: a first-order estimate of what replacing each node's write does, for all at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from workbench.analysis.circuits.attribution import VANISHING
from workbench.analysis.circuits.nodes import Effects, by_node, node_groups
from workbench.core.errors import InputError
from workbench.core.graph import Graph
from workbench.core.hooked import HookFn
from workbench.core.metrics import Metric


@dataclass(frozen=True)
class Slopes:
    """One run: activations by hook, and the gradient there of each example's metric, once for each drop."""

    values: Mapping[str, Tensor]
    gradients: Mapping[str, Float[Tensor, "_drop _batch *any"]]


@torch.no_grad()
def atp(graph: Graph, inputs: Any, other: Mapping[str, Tensor], metric: Metric) -> Effects:
    """Estimate of metric(write replaced) - metric(intact) for every node whose hook is in `other` (AtP).

    <other write - write, gradient of the metric at the write>, summed over all the node writes, example by example
    (Nanda 2023). Exact where the metric is linear in the write. Costs one forward and one backward pass.
    """
    groups = {hook: group for hook, group in node_groups(graph, inputs).items() if hook in other}
    run = slopes(graph, inputs, metric, list(groups))
    axes = {hook: graph.model.hook_dict[hook].axes for hook in groups}
    change = {hook: other[hook].to(run.values[hook]) - run.values[hook] for hook in groups}
    return {hook: by_node(change[hook] * run.gradients[hook], axes[hook], g)[0] for hook, g in groups.items()}


@torch.enable_grad()
def slopes(
    graph: Graph, inputs: Any, metric: Metric, hooks: Sequence[str], drops: Sequence[frozenset[str]] = (frozenset(),)
) -> Slopes:
    """Gradients at the hooks: one forward pass, and a backward pass for each drop.

    A drop is a set of hooks that let no gradient through. Gradients start at the graph's sources, so no parameter
    needs one and none gets one. Examples do not meet in a forward pass, so the gradient of the sum of their metrics
    is each example's own.
    """
    seen: dict[str, Tensor] = {}
    closed: set[str] = set()

    def see(hook: str, x: Tensor) -> Tensor:
        seen[hook] = x.view_as(x)  # a tensor of its own, of which the gradient is that at this hook only
        if seen[hook].requires_grad:
            seen[hook].register_hook(lambda gradient: torch.zeros_like(gradient) if hook in closed else None)
        return seen[hook]

    def start(hook: str, x: Tensor) -> Tensor:
        return see(hook, x.detach().requires_grad_())

    handlers: dict[str, HookFn] = {hook: partial(see, hook) for hook in {*hooks, *frozenset().union(*drops)}}
    handlers |= {hook: partial(start, hook) for hook in graph.wiring.sources}
    with graph.model.attach(handlers):
        value = metric(graph.model(inputs))
    if not value.requires_grad:
        raise InputError(
            "This metric has no gradient, so nodes cannot be attributed with it. Choose a differentiable one such as "
            "logit_difference, or the method 'exact'."
        )
    found: list[tuple[Tensor, ...]] = []
    for drop in drops:
        closed.clear()
        closed.update(drop)
        at = [seen[hook] for hook in hooks]
        found.append(torch.autograd.grad(value.sum(), at, retain_graph=True, materialize_grads=True))
    stacked = {hook: torch.stack(passes) for hook, passes in zip(hooks, zip(*found, strict=True), strict=True)}
    return Slopes({hook: seen[hook].detach() for hook in hooks}, stacked)


def refuse_flat(effects: Effects, gap: float) -> None:
    """Raises when the metric does not move, to first order, though it really moves by `gap`."""
    if sum(float(effect.abs().sum() / effect.shape[-1]) for effect in effects.values()) < VANISHING * abs(gap):
        raise InputError(
            "The metric's gradient vanishes at the clean run, so a first-order method sees nothing there: so it is "
            "for every distance to the clean output, such as kl. Use the method 'exact', or a metric such as "
            "logit_difference."
        )
