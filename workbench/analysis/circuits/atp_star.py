"""AtP* (Kramar et al. 2024): attribution patching on nodes, corrected for saturated attention and cancelling effects.

1. Queries and keys: compute the attention pattern with the other run's queries (or keys) exactly, and only the effect
   of the pattern to first order, because softmax may be saturated (section 3.1). An effect that reaches the queries or
   keys of a later layer is still taken to first order.
2. GradDrop (section 3.2): run one backward pass per layer with that layer's contribution to the residual stream
   dropped, so that a direct and an indirect effect that cancel in the gradient are measured apart. Average the absolute
   effects over the drops after which the node still reaches the output, which for L layers is the paper's factor
   L / (L - 1).
3. Take the larger of that mean and the absolute effect without a drop. A drop removes every path through its layer, so
   with few layers the mean alone may miss a node whose whole effect passes through one of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any, Literal

import torch
from einops import einsum
from jaxtyping import Float
from torch import Tensor

from workbench.analysis.circuits.gradients import differentiate
from workbench.analysis.circuits.nodes import Effects, attention_layers, by_node, node_groups
from workbench.core.graph import Graph
from workbench.core.hooked import HookFn
from workbench.core.metrics import Metric
from workbench.core.wiring import Group

Scores = Float[Tensor, "batch head query key"]
Gradient = Float[Tensor, "drop batch head query key"]
FEWEST_LAYERS = 3
"""With fewer layers, at most one drop counts for each node."""


@torch.no_grad()
def atp_star(graph: Graph, inputs: Any, other: Mapping[str, Tensor], metric: Metric) -> Effects:
    """Estimate |metric(write replaced) - metric(intact)| for all nodes at once, with the corrections of AtP*.

    Args:
        graph: The model's graph.
        inputs: Clean inputs, batch first.
        other: What each node writes instead, by hook. Only nodes of these hooks are scored.
        metric: Returns one number per example from the model's output.

    Returns:
        The strength (>= 0) of each node on each example, by hook, in units of the metric; never below that of `atp`.

    Raises:
        InputError: If the metric is not differentiable.

    Cost: 3 forward passes and 1 backward pass per layer and 1 more; with token positions, a softmax of the attention
    scores per key. The gradients of all passes are held in memory.

    References: Kramar et al. 2024.

    Example:
        >>> from workbench.analysis.circuits.nodes import node_groups
        >>> known = workbench.known_circuit("planted_vote")
        >>> other = known.graph.model.cache(known.corrupted, list(node_groups(known.graph, known.inputs)))
        >>> strengths = atp_star(known.graph, known.inputs, other, known.metric)
        >>> bool((strengths["blocks.0.hook_post"] >= 0).all())
        True
    """
    groups = {hook: group for hook, group in node_groups(graph, inputs).items() if hook in other}
    layers = [layer for layer in attention_layers(graph) if f"{layer}.hook_q" in groups]
    drops = residual_layers(graph)
    patterns = [f"{layer}.hook_{x}" for layer in layers for x in ("attn_scores", "pattern")]
    run = differentiate(graph, inputs, metric, [*groups, *patterns], drops=[frozenset(), *drops])
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
    """Compute each layer's attention scores with all its queries (or keys) from the other run, in one forward pass.

    The pattern of every layer is reset to the clean one, so apart from the scores everything is as in the clean run.
    The model computes the scores itself, with its rotary positions, masks and scale.
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
    """Compute <exact change of the pattern, its gradient> for each head's queries or keys (or each of their positions).

    A query determines one row of the scores, so all queries may change at once. A key determines one column, and every
    row's softmax mixes the columns, so each key needs a softmax of its own.
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
    """Group the nodes' hooks by layer: names that agree up to the first number, as in `blocks.3`."""
    layers: dict[str, set[str]] = {}
    for hook in graph.nodes:
        if name := re.match(r"(.*?\.\d+)\.", hook):
            layers.setdefault(name[1], set()).add(hook)
    return [frozenset(hooks) for hooks in layers.values()]


def reaching(graph: Graph, drops: list[frozenset[str]]) -> dict[str, Float[Tensor, "drop _node"]]:
    """Return 1 where a node still reaches the output when the layer of a drop is removed.

    It is 0 for the node's own layer, and for a layer on all of its paths.
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
    """Return the larger of the absolute effect without a drop (first pass) and the mean over the drops that count."""
    plain, dropped = effects[0].abs(), effects[1:].abs()
    share = counted.to(effects) / counted.sum(dim=0).clamp(min=1).to(effects)
    return torch.maximum(plain, einsum(dropped, share, "drop node ... , drop node -> node ..."))


def warn_few_layers(graph: Graph) -> str:
    """Return a warning for graphs with fewer than three layers, else ""."""
    n = len(residual_layers(graph))
    if n >= FEWEST_LAYERS:
        return ""
    return (
        f"AtP* averages over layers and this graph has {n}, too few to tell direct from indirect effects: check its "
        "strengths with the method 'exact'"
    )
