"""Edge attribution: a first-order estimate of the effect of cutting each edge, for all edges at once.

1. Differentiate the metric with respect to what each port reads (`gradients.py`), at the clean run (EAP; Syed et al.
   2023) or averaged on the straight line from the clean to the other run (EAP-IG; Hanna et al. 2024).
2. Carry the difference between the other and the clean write of each node to each port.
3. Score an edge by the inner product of the two.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Literal

import torch
from einops import einsum, rearrange
from jaxtyping import Float
from torch import Tensor

from workbench.analysis.circuits.gradients import average, differentiate, interpolate_sources, require_first_order
from workbench.analysis.circuits.nodes import replace_write
from workbench.core.errors import InputError
from workbench.core.graph import Graph, Reader, Wire
from workbench.core.metrics import Metric
from workbench.core.progress import Progress, silent
from workbench.core.wiring import Masks

Replacement = Literal["resample", "zero", "mean"]
Activations = Mapping[str, Tensor]


def other_writes(graph: Graph, corrupted: Any, ablation: Replacement) -> dict[str, Tensor]:
    """Compute what cut edges carry: the writes of the corrupted run, their mean over its batch, or zero."""
    return {hook: replace_write(x, ablation) for hook, x in graph.writes(corrupted).items()}


def eap(graph: Graph, inputs: Any, other: Activations, metric: Metric) -> dict[str, Tensor]:
    """Estimate metric(edge cut) - metric(intact) to first order at the clean run, for all edges at once (EAP).

    A score is <T(other write - write), gradient of the metric at the read>. A negative score means that the edge raises
    the metric.

    Args:
        graph: The model's graph.
        inputs: Clean inputs, batch first.
        other: What a cut edge carries, by hook of the node that writes (see `other_writes`).
        metric: Returns one number per example from the model's output.

    Returns:
        The score of each edge by wire, averaged over the batch, in units of the metric.

    Raises:
        InputError: If the metric is not differentiable.

    Cost: 1 forward and 1 backward pass.

    References: Syed et al. 2023.

    Example:
        >>> known = workbench.known_circuit("planted_vote")
        >>> scores = eap(known.graph, known.inputs, known.graph.writes(known.corrupted), known.metric)
        >>> sum(score.numel() for score in scores.values()) == known.graph.n_edges
        True
    """
    writes, gradients = gradients_at_ports(graph, inputs, metric)
    return score_wires(graph, change(writes, other), gradients)


def eap_ig(
    graph: Graph, inputs: Any, other: Activations, metric: Metric, steps: int = 5, progress: Progress = silent
) -> dict[str, Tensor]:
    """Estimate metric(edge cut) - metric(intact) with gradients averaged from the clean to the other run (EAP-IG).

    1. Move the sources' writes to `steps` midpoints of the straight line between the two runs.
    2. Average the gradients at the ports over these runs.
    3. Score every edge as `eap` does, with the averaged gradient.

    Args:
        graph: The model's graph.
        inputs: Clean inputs, batch first.
        other: What a cut edge carries, by hook of the node that writes (see `other_writes`).
        metric: Returns one number per example from the model's output.
        steps: Number of midpoints.
        progress: Called with the number of finished steps and their total.

    Returns:
        The score of each edge by wire, averaged over the batch, in units of the metric.

    Raises:
        InputError: If the metric is not differentiable, or `steps` is less than 1.

    Cost: 1 forward pass, and `steps` forward and backward passes.

    References: Hanna et al. 2024.

    Example:
        >>> known = workbench.known_circuit("planted_vote")
        >>> scores = eap_ig(known.graph, known.inputs, known.graph.writes(known.corrupted), known.metric)
        >>> known.auroc(scores, "resample")
        1.0
    """
    if steps < 1:
        raise InputError(f"EAP-IG needs at least 1 step, not {steps}. Use 5.")
    clean = graph.writes(inputs)

    def gradients() -> Iterator[Activations]:
        for step, sources in enumerate(interpolate_sources(graph, clean, other, steps)):
            yield gradients_at_ports(graph, inputs, metric, sources)[1]
            progress(step + 1, steps)

    return score_wires(graph, change(clean, other), average(gradients(), steps))


def change(writes: Activations, other: Activations) -> dict[str, Tensor]:
    """Compute the difference between the other and the clean write of every node."""
    return {hook: other[hook].to(x) - x for hook, x in writes.items()}


@torch.no_grad()
def gradients_at_ports(
    graph: Graph, inputs: Any, metric: Metric, sources: Activations | None = None
) -> tuple[Activations, Activations]:
    """Return every node's write, and the gradient of the mean metric at each group of ports.

    Ports with a `Reader` cost no hook of their own: their gradients follow from those at the reader's hook.
    """
    readers = {
        port: group.reader or Reader(port, port, partial(as_read, graph, port)) for port, group in graph.ports.items()
    }
    hooks = {*graph.nodes, *(hook for reader in readers.values() for hook in (reader.hook, reader.stream))}
    ends = list(dict.fromkeys(reader.hook for reader in readers.values()))
    run = differentiate(graph, inputs, metric, list(hooks), sources, ends)
    at = {hook: run.gradients[hook][0] / run.n for hook in ends}
    pulled = {port: reader.pull(run.values[reader.stream], at[reader.hook]) for port, reader in readers.items()}
    return {hook: run.values[hook] for hook in graph.nodes}, pulled


def as_read(graph: Graph, port: str, read: Tensor, gradient: Tensor) -> Tensor:
    """Return the gradient at the ports themselves, the port axis second."""
    return graph.group(port, gradient)


@torch.no_grad()
def score_wires(graph: Graph, changes: Activations, gradients: Activations) -> dict[str, Tensor]:
    """Compute <T(change), gradient at the read> of every edge: the derivative of carry(change, mask) along the mask.

    Ports that read the same nodes along a stream are scored by one matrix product.
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
    """Stack what the changes of each list of writers add to the stream. A prefix of a longer list is a slice of it."""
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
    """Differentiate <carry(change, mask), gradient> with respect to the mask."""
    mask = change.new_ones(shape).requires_grad_()
    return torch.autograd.grad((wire.carry(change, mask) * gradient).sum(), mask)[0]


def require_gradient(graph: Graph, scores: Masks, gap: float) -> None:
    """Raise InputError if no edge into a sink has a first-order effect although the metric changes by `gap`."""
    into_sinks = [scores[wire] for sink in graph.sinks for wire in graph.wiring.into(sink)]
    require_first_order(sum(float(score.abs().sum()) for score in into_sinks), gap, "the method 'eap_ig' or 'exact'")
