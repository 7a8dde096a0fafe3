"""Edge attribution: a first-order estimate of what cutting each edge does, for all edges at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from einops import einsum, rearrange
from jaxtyping import Float
from torch import Tensor

from workbench.core.errors import InputError
from workbench.core.graph import Graph, Reader, Wire
from workbench.core.hooked import HookFn
from workbench.core.metrics import Metric
from workbench.core.progress import Progress, silent
from workbench.core.wiring import Masks

Replacement = Literal["resample", "zero", "mean"]
Activations = Mapping[str, Tensor]
VANISHING = 1e-4
"""A first-order effect at the output below this share of the real one says that the gradient has vanished."""


def other_writes(graph: Graph, corrupted: Any, ablation: Replacement) -> dict[str, Tensor]:
    """What cut edges carry: the writes of the corrupted run, their mean over its batch, or zero."""
    writes = graph.writes(corrupted)
    if ablation == "zero":
        return {hook: torch.zeros_like(x) for hook, x in writes.items()}
    if ablation == "mean":
        return {hook: x.mean(dim=0, keepdim=True).expand_as(x) for hook, x in writes.items()}
    return writes


def eap(graph: Graph, inputs: Any, other: Activations, metric: Metric) -> dict[str, Tensor]:
    """Estimate of metric(edge cut) - metric(intact), batch mean, for every edge of every wire (EAP).

    A score is <T(other write - write), gradient of the metric at the read>, the gradient taken at the clean run
    (Syed et al. 2023); a negative one says that the edge raises the metric. Costs one forward and one backward pass.
    """
    clean = differentiate(graph, inputs, metric)
    return score_wires(graph, change(clean.writes, other), clean.gradients)


def eap_ig(
    graph: Graph, inputs: Any, other: Activations, metric: Metric, steps: int = 5, progress: Progress = silent
) -> dict[str, Tensor]:
    """Like `eap`, with the gradient averaged over the way from clean to other inputs (EAP-IG).

    The sources' writes go through `steps` midpoints of the straight line between the two runs (Hanna et al. 2024).
    Costs one forward pass and `steps` forward and backward passes.
    """
    if steps < 1:
        raise InputError(f"EAP-IG takes at least 1 step, not {steps}. Five are usual.")
    clean = graph.writes(inputs)
    total: dict[str, Tensor] = {}
    for step in range(steps):
        share = (step + 0.5) / steps
        sources = {hook: clean[hook].lerp(other[hook].to(clean[hook]), share) for hook in graph.wiring.sources}
        for port, gradient in differentiate(graph, inputs, metric, sources).gradients.items():
            total[port] = total[port] + gradient / steps if port in total else gradient / steps
        progress(step + 1, steps)
    return score_wires(graph, change(clean, other), total)


def change(writes: Activations, other: Activations) -> dict[str, Tensor]:
    """What every node would write more if it wrote as in the other run."""
    return {hook: other[hook].to(x) - x for hook, x in writes.items()}


@dataclass(frozen=True)
class Differentiated:
    """One run: what the nodes wrote, and the gradient of the mean metric at what each port read."""

    writes: Activations
    gradients: Activations


@torch.enable_grad()
def differentiate(graph: Graph, inputs: Any, metric: Metric, sources: Activations | None = None) -> Differentiated:
    """One forward and one backward pass; `sources` replaces what the sources write.

    Gradients start at the sources, so no parameter needs one and none gets one. Ports with a reader are not listened
    to: their gradients are told by its.
    """
    seen: dict[str, Tensor] = {}
    readers = {
        port: group.reader or Reader(port, port, partial(as_read, graph, port)) for port, group in graph.ports.items()
    }

    def see(hook: str, x: Tensor) -> Tensor:
        seen[hook] = x.view_as(x)  # a tensor of its own: x may be the stream, which others read as well
        return seen[hook]

    def start(hook: str, x: Tensor) -> Tensor:
        given = x if sources is None else sources[hook].to(x)
        return see(hook, given.detach().requires_grad_())

    listened = {*graph.nodes, *(hook for reader in readers.values() for hook in (reader.hook, reader.stream))}
    handlers: dict[str, HookFn] = {hook: partial(see, hook) for hook in listened}
    handlers |= {hook: partial(start, hook) for hook in graph.wiring.sources}
    with graph.model.attach(handlers):
        value = metric(graph.model(inputs))
    if not value.requires_grad:
        raise InputError(
            "This metric has no gradient, so edges cannot be attributed with it. Choose a differentiable one such as "
            "logit_difference, or the method 'exact'."
        )
    ends = list(dict.fromkeys(reader.hook for reader in readers.values()))
    found = torch.autograd.grad(value.mean(), [seen[hook] for hook in ends], materialize_grads=True)
    at = dict(zip(ends, found, strict=True))
    with torch.no_grad():
        pulled = {port: reader.pull(seen[reader.stream], at[reader.hook]) for port, reader in readers.items()}
    return Differentiated({hook: seen[hook].detach() for hook in graph.nodes}, pulled)


def as_read(graph: Graph, port: str, read: Tensor, gradient: Tensor) -> Tensor:
    """The gradient at a group of ports themselves, the port axis second."""
    return graph.group(port, gradient)


@torch.no_grad()
def score_wires(graph: Graph, changes: Activations, gradients: Activations) -> dict[str, Tensor]:
    """<T(change), gradient at the read> of every edge: the derivative of carry(change, mask) along the mask.

    Ports that read the same nodes along a stream are scored together, by one matrix product.
    """
    scores: dict[str, Tensor] = {}
    readers: dict[tuple[str, ...], list[str]] = {}
    for name, wire in graph.wires.items():
        if wire.lift is None:
            change = graph.group(wire.writer, changes[wire.writer])
            scores[name] = differentiate_mask(wire, change, gradients[wire.port], graph.wiring.shape(name))
    for port in graph.ports:
        if writers := tuple(wire.writer for wire in graph.wires_into(port) if wire.lift):
            readers.setdefault(writers, []).append(port)
    rows = stack_changes(graph, changes, readers)
    for writers, ports in readers.items():
        columns = torch.cat([rearrange(gradients[port], "batch port ... -> port batch ...") for port in ports])
        kept = "pos" if graph.wiring.ports[ports[0]].positions else ""
        block = einsum(rows[writers], columns, f"node batch {kept} ..., port batch {kept} ... -> node port {kept}")
        for writer, part in zip(writers, block.split([graph.size[writer] for writer in writers]), strict=True):
            for port, score in zip(ports, part.split([graph.size[port] for port in ports], dim=1), strict=True):
                scores[f"{writer} -> {port}"] = score
    return {name: scores[name] for name in graph.wires}


def stack_changes(
    graph: Graph, changes: Activations, lists: Iterable[tuple[str, ...]]
) -> dict[tuple[str, ...], Float[Tensor, "node batch ..."]]:
    """For each list of writers, what their changes add to the stream; a list that begins a longer one is part of it."""
    lifts = {wire.writer: wire.lift for wire in graph.wires.values() if wire.lift}
    stacks: dict[tuple[str, ...], Tensor] = {}
    for writers in sorted(lists, key=len, reverse=True):
        longer = next((stack for stack in stacks if stack[: len(writers)] == writers), None)
        if longer is None:
            lifted = [lifts[writer](graph.group(writer, changes[writer])) for writer in writers]
            stacks[writers] = torch.cat([rearrange(x, "batch node ... -> node batch ...") for x in lifted])
        else:
            stacks[writers] = stacks[longer][: sum(graph.size[writer] for writer in writers)]
    return stacks


@torch.enable_grad()
def differentiate_mask(wire: Wire, change: Tensor, gradient: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Of <carry(change, mask), gradient> along the mask."""
    mask = change.new_ones(shape).requires_grad_()
    return torch.autograd.grad((wire.carry(change, mask) * gradient).sum(), mask)[0]


def refuse_vanishing(graph: Graph, scores: Masks, gap: float) -> None:
    """Raises when the metric does not move, to first order, though it really moves by `gap`."""
    into_sinks = [scores[wire] for sink in graph.sinks for wire in graph.wiring.into(sink)]
    first_order = sum(float(score.abs().sum()) for score in into_sinks)
    if first_order < VANISHING * abs(gap):
        raise InputError(
            "The metric's gradient vanishes at the clean run, so a first-order method sees nothing there: so it is "
            "for every distance to the clean output, such as kl. Use the method 'eap_ig' or 'exact', or a metric such "
            "as logit_difference."
        )
