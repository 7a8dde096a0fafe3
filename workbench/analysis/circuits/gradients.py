"""Gradients of a metric at the hooks of a graph.

1. Replace what each source writes by a leaf that requires a gradient, so that no parameter needs one and none gets one.
2. Run the model and keep a view of the activation at each hook.
3. Differentiate the sum of the metric over the examples, once for each set of hooks that block gradients. Examples do
   not interact in a forward pass, so this is the gradient of each example's own metric.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from workbench.core.errors import InputError
from workbench.core.graph import Graph
from workbench.core.hooked import HookFn
from workbench.core.metrics import Metric

Activations = Mapping[str, Tensor]
VANISHING = 1e-4
"""A first-order effect below this share of the real one counts as zero."""


@dataclass(frozen=True)
class Gradients:
    """Activations of one run by hook, and the gradient of each example's metric there, once for each drop."""

    values: Activations
    gradients: Mapping[str, Float[Tensor, "_drop _batch *any"]]
    n: int


@torch.enable_grad()
def differentiate(
    graph: Graph,
    inputs: Any,
    metric: Metric,
    hooks: Sequence[str],
    sources: Activations | None = None,
    at: Sequence[str] | None = None,
    drops: Sequence[frozenset[str]] = (frozenset(),),
) -> Gradients:
    """Differentiate each example's metric with respect to the activations at hooks.

    Args:
        graph: The model's graph.
        inputs: Inputs, batch first.
        metric: Returns one number per example from the model's output.
        hooks: Hooks whose activations are kept.
        sources: What the sources write, by hook. By default what they write on `inputs`.
        at: Hooks at which to differentiate. By default all of `hooks`.
        drops: Sets of hooks that let no gradient through, one backward pass each.

    Raises:
        InputError: If the metric is not differentiable.

    Cost: 1 forward pass, and 1 backward pass for each drop.
    """
    values: dict[str, Tensor] = {}
    closed: set[str] = set()
    closable = frozenset().union(*drops)

    def keep(hook: str, x: Tensor) -> Tensor:
        values[hook] = x.view_as(x)  # of its own: the model may use x, such as the residual stream, elsewhere too
        if hook in closable and values[hook].requires_grad:
            values[hook].register_hook(lambda gradient: torch.zeros_like(gradient) if hook in closed else None)
        return values[hook]

    def start(hook: str, x: Tensor) -> Tensor:
        return keep(hook, (x if sources is None else sources[hook].to(x)).detach().requires_grad_())

    listeners: dict[str, HookFn] = {hook: partial(keep, hook) for hook in {*hooks, *closable}}
    listeners |= {hook: partial(start, hook) for hook in graph.wiring.sources}
    with graph.model.attach(listeners):
        value = metric(graph.model(inputs))
    if not value.requires_grad:
        raise InputError(
            "This metric has no gradient, so it cannot be attributed to edges or nodes. Choose a differentiable one "
            "such as logit_difference, or the method 'exact'."
        )
    at, passes = at or hooks, []
    for i, drop in enumerate(drops, 1):
        closed.clear()
        closed.update(drop)
        again, ends = i < len(drops), [values[hook] for hook in at]
        passes.append(torch.autograd.grad(value.sum(), ends, retain_graph=again, materialize_grads=True))
    stacks = (torch.stack(found) if len(found) > 1 else found[0][None] for found in zip(*passes, strict=True))
    return Gradients({hook: values[hook].detach() for hook in hooks}, dict(zip(at, stacks, strict=True)), value.numel())


def interpolate_sources(graph: Graph, clean: Activations, other: Activations, steps: int) -> Iterator[Activations]:
    """Yield the sources' writes at `steps` midpoints of the straight line from the clean to the other run."""
    for step in range(steps):
        share = (step + 0.5) / steps
        yield {hook: clean[hook].lerp(other[hook].to(clean[hook]), share) for hook in graph.wiring.sources}


def average(found: Iterable[Activations], steps: int) -> dict[str, Tensor]:
    """Average `steps` sets of gradients, hook by hook."""
    total: dict[str, Tensor] = {}
    for gradients in found:
        for hook, gradient in gradients.items():
            total[hook] = total[hook] + gradient / steps if hook in total else gradient / steps
    return total


def require_first_order(first_order: float, effect: float, methods: str) -> None:
    """Raise InputError if the first-order effect is zero beside the real one.

    Args:
        first_order: Sum of the absolute first-order effects.
        effect: The real effect, in the same units.
        methods: The methods that still work, for the error.
    """
    if first_order < VANISHING * abs(effect):
        raise InputError(
            "The metric's gradient vanishes at the clean run (true of any distance to the clean output, such as kl), "
            f"so a first-order estimate would give every score 0. Use {methods}, or a metric such as logit_difference."
        )
