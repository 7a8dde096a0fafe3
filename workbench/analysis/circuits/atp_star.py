"""AtP*: attribution patching on nodes that corrects for saturated attention and for effects that cancel."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any, Literal

import torch
from einops import einsum
from jaxtyping import Float
from torch import Tensor

from workbench.analysis.circuits.node_attribution import slopes
from workbench.analysis.circuits.nodes import Effects, attention_layers, by_node, node_groups
from workbench.core.graph import Graph
from workbench.core.hooked import HookFn
from workbench.core.metrics import Metric
from workbench.core.wiring import Group

Scores = Float[Tensor, "batch head query key"]
Gradient = Float[Tensor, "drop batch head query key"]
FEWEST_LAYERS = 3
"""With fewer layers a mean over drops holds one pass at most."""


@torch.no_grad()
def atp_star(graph: Graph, inputs: Any, other: Mapping[str, Tensor], metric: Metric) -> Effects:
    """Strengths >= 0 of every node whose hook is in `other`, on each example (Kramar et al. 2024, AtP*).

    Two corrections of `attribute_nodes`:

    1. For a query or key the attention pattern is computed exactly with the other run's, and only what follows is taken
       to first order, because softmax may be saturated (their section 3.1). An effect that reaches the queries or keys
       of a later layer is still taken to first order.
    2. Effects are averaged, in absolute value, over backward passes that each drop what one layer adds to the residual
       stream (GradDrop, 3.2): a direct and an indirect effect that cancel in the gradient are then seen apart. Drops
       count for the nodes that still reach the output, which for L layers is the paper's factor L / (L - 1).

    The drops remove every path through their layer, so over few layers their mean may miss a node whose whole effect
    goes through one of them. A strength is therefore the larger of that mean and the absolute effect without a drop:
    never below the plain estimate. `warn_few_layers` says where there are too few.

    Costs three forward passes, a backward pass for each layer and one more, and with token positions kept a softmax of
    the attention scores for each key. Holds the gradients of all passes.
    """
    groups = {hook: group for hook, group in node_groups(graph, inputs).items() if hook in other}
    layers = [layer for layer in attention_layers(graph) if f"{layer}.hook_q" in groups]
    drops = residual_layers(graph)
    patterns = [f"{layer}.hook_{x}" for layer in layers for x in ("attn_scores", "pattern")]
    run = slopes(graph, inputs, metric, [*groups, *patterns], [frozenset(), *drops])
    effects = {}
    for hook, group in groups.items():
        change = other[hook].to(run.values[hook]) - run.values[hook]
        effects[hook] = by_node(change * run.gradients[hook], graph.model.hook_dict[hook].axes, group)
    for part in ("q", "k") if layers else ():
        moved = scores_with(graph, inputs, other, part, {at: run.values[f"{at}.hook_pattern"] for at in layers})
        for at in layers:
            hook, gradient = f"{at}.hook_{part}", run.gradients[f"{at}.hook_pattern"]
            effects[hook] = through_pattern(
                run.values[f"{at}.hook_attn_scores"], moved[at], gradient, part, groups[hook]
            )
    counted = reaching(graph, drops)
    for layer in attention_layers(graph):
        counted |= {f"{layer}.hook_{part}": counted[f"{layer}.hook_z"] for part in "qkv"}
    return {hook: strengths(effect, counted[hook]) for hook, effect in effects.items()}


def scores_with(
    graph: Graph, inputs: Any, other: Mapping[str, Tensor], part: Literal["q", "k"], patterns: Mapping[str, Tensor]
) -> dict[str, Scores]:
    """Attention scores of each layer with all its queries (or keys) from the other run, in one forward pass.

    Every layer's pattern is put back to the given clean one, so each layer but for its scores sees the clean run. The
    model itself makes the scores, so rotary positions, masks and scale are its own.
    """
    seen: dict[str, Tensor] = {}

    def keep(layer: str, scores: Tensor) -> Tensor:
        seen[layer] = scores
        return scores

    def instead(value: Tensor, x: Tensor) -> Tensor:
        return value.to(x).expand_as(x)

    handlers: dict[str, HookFn] = {}
    for layer, pattern in patterns.items():
        handlers[f"{layer}.hook_{part}"] = partial(instead, other[f"{layer}.hook_{part}"])
        handlers[f"{layer}.hook_attn_scores"] = partial(keep, layer)
        handlers[f"{layer}.hook_pattern"] = partial(instead, pattern)
    with graph.model.attach(handlers):
        graph.model(inputs)
    return seen


def through_pattern(
    scores: Scores, moved: Scores, gradient: Gradient, part: Literal["q", "k"], group: Group
) -> Float[Tensor, "drop head *pos batch"]:
    """<exact change of the pattern, gradient there> for each head's queries or keys, or at each of their positions.

    A query fills one row of the scores, so all may change at once. A key fills one column, and each row's softmax
    sees them all: one softmax for each key.
    """
    pattern = scores.softmax(dim=-1)
    if part == "q" or group.positions is None:
        change = moved.softmax(dim=-1) - pattern
        kept = "" if group.positions is None else "query"
        return einsum(change, gradient, f"batch head query key, drop batch head query key -> drop head {kept} batch")
    effects = []
    for key in range(scores.shape[-1]):
        one = scores.clone()
        one[..., key] = moved[..., key]
        change = one.softmax(dim=-1) - pattern
        effects.append(einsum(change, gradient, "batch head query key, drop batch head query key -> drop head batch"))
    return torch.stack(effects, dim=2)


# GradDrop


def residual_layers(graph: Graph) -> list[frozenset[str]]:
    """Hooks of the nodes in each layer: those whose names agree up to the first number, as in `blocks.3`."""
    layers: dict[str, set[str]] = {}
    for hook in graph.nodes:
        if name := re.match(r"(.*?\.\d+)\.", hook):
            layers.setdefault(name[1], set()).add(hook)
    return [frozenset(hooks) for hooks in layers.values()]


def reaching(graph: Graph, drops: list[frozenset[str]]) -> dict[str, Float[Tensor, "drop _node"]]:
    """1 where a node still reaches the output with the layer of a drop removed.

    So a node's own layer does not count for it, nor one that all its paths go through.
    """
    counted: dict[str, list[Tensor]] = {hook: [] for hook in graph.nodes}
    for drop in drops:
        keep = {name: mask * (graph.wires[name].writer not in drop) for name, mask in graph.full(1.0).items()}
        live = graph.wiring.prune(keep, counterfactual=False)
        for hook, rows in counted.items():
            rows.append(
                torch.stack([live[wire].flatten(1).any(dim=1) for wire in graph.wiring.out_of(hook)]).any(dim=0)
            )
    return {hook: torch.stack(rows).float() for hook, rows in counted.items()}


def strengths(effects: Float[Tensor, "pass node *pos batch"], counted: Float[Tensor, "drop node"]) -> Tensor:
    """The larger of the absolute effect in the first pass, without a drop, and the mean over the drops that count."""
    plain, dropped = effects[0].abs(), effects[1:].abs()
    share = counted.to(effects) / counted.sum(dim=0).clamp(min=1).to(effects)
    return torch.maximum(plain, einsum(dropped, share, "drop node ... , drop node -> node ..."))


def warn_few_layers(graph: Graph) -> str:
    """A sentence for graphs with fewer than three layers, else ""."""
    n = len(residual_layers(graph))
    if n >= FEWEST_LAYERS:
        return ""
    return (
        f"AtP* averages over layers and this graph has {n}, too few to tell direct from indirect effects: check its "
        "strengths with the method 'exact'"
    )
