"""Information flow routes (Ferrando and Voita 2024): each edge's share of its port's input, in one forward pass.

1. Split what each port reads into the parts that the nodes wrote, plus a constant.
2. Compute the proximity of each part to the whole: max(0, |read| - |read - part|) in the L1 norm (equation 3).
3. Divide by the sum over all parts (equation 4), and average over examples and positions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from workbench.analysis.circuits.nodes import sum_neighbours
from workbench.core.graph import Graph, Wire
from workbench.core.progress import Progress, silent
from workbench.core.wiring import Masks


@torch.no_grad()
def information_flow(
    graph: Graph, inputs: Any, progress: Progress = silent
) -> dict[str, Float[Tensor, "_node _port *_pos"]]:
    """Compute the share of each port's input that comes through each edge, from 0 to 1.

    The constant is one of the parts but has no edge. The shares do not depend on a metric: they describe what flows,
    not its effect.

    Args:
        graph: The model's graph.
        inputs: Inputs, batch first.
        progress: Called with the number of finished ports and their total.

    Returns:
        The share of each edge by wire, averaged over examples, and over positions unless the graph keeps them.

    Cost: 1 forward pass, and 1 transport for each node and group of ports that it reaches.

    References: Ferrando and Voita 2024, equations 3 and 4.

    Example:
        >>> known = workbench.known_circuit("planted_vote")
        >>> flow = information_flow(known.graph, known.inputs)
        >>> all(0 <= share.min() and share.max() <= 1 for share in flow.values())
        True
    """
    seen = graph.model.cache(inputs, [*graph.nodes, *graph.ports])
    shares: dict[str, Tensor] = {}
    for done, port in enumerate(graph.ports):
        read, near = graph.group(port, seen[port]), {}
        for wire in graph.wires_into(port):
            arrived = parts(graph, wire, graph.group(wire.writer, seen[wire.writer]))
            near[wire.name] = torch.stack([proximity(graph, port, part, read) for part in arrived], dim=1)
        constant = torch.as_tensor(graph.ports[port].constant()).to(read).expand_as(read)
        total = proximity(graph, port, constant, read) + sum(x.sum(dim=1) for x in near.values())
        for name, x in near.items():
            share = (x / total[:, None].clamp(min=torch.finfo(x.dtype).tiny)).mean(dim=0)
            shares[name] = share.mean(dim=-1) if len(graph.wiring.shape(name)) < share.ndim else share
        progress(done + 1, len(graph.ports))
    return shares


def parts(graph: Graph, wire: Wire, write: Tensor) -> Iterator[Float[Tensor, "batch _port *any"]]:
    """Yield the part of what the ports read that each node of a wire wrote, node after node."""
    if wire.lift:
        yield from wire.lift(write)[:, :, None].unbind(dim=1)
        return
    shape = graph.wiring.shape(wire.name)
    for node in range(shape[0]):
        one = write.new_zeros(shape)
        one[node] = 1
        yield wire.carry(write, one)


def proximity(graph: Graph, port: str, part: Tensor, read: Tensor) -> Float[Tensor, "batch port *pos"]:
    """Compute the proximity of a part to the whole, at each token position if there are any."""
    axes = [axis for axis in graph.axes[port] if axis not in ("batch", graph.ports[port].axis)]
    inside = [2 + place for place, axis in enumerate(axes) if axis != "pos"]
    nearer = read.abs() - (read - part).abs()
    nearer = nearer.sum(dim=inside) if inside else nearer
    return sum_neighbours(nearer, graph.wiring.ports[port].width, dim=1).clamp(min=0)


def routes(
    graph: Graph, shares: Masks, threshold: float, position: int | None = None
) -> dict[str, Bool[Tensor, "_node _port *_pos"]]:
    """Return the edges on paths to the output along which every share is at least `threshold` (section 2.2).

    `position` restricts the output to one token position, in a graph that keeps them.
    """
    keep = {name: share >= threshold for name, share in shares.items()}
    if position is not None:
        for name in (name for sink in graph.sinks for name in graph.wiring.into(sink)):
            here = torch.zeros_like(keep[name])
            here[..., position] = True
            keep[name] = keep[name] & here
    return graph.wiring.prune(keep, counterfactual=False)
