"""Expanded weights: what a node sends to a later one through the layers between, by the weights alone.

Cammarata et al. (2021), "Curve Circuits": the weights of a path multiplied out, its non-linearities taken as linear.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d
from torch.utils._pytree import tree_map

from workbench.core.errors import ConfigError, InputError, UnknownNameError
from workbench.core.graph import Graph
from workbench.core.sites import Site


@torch.no_grad()
def expanded_weights(graph: Graph, writer: str, port: str) -> Float[Tensor, "reader *space"]:
    """What the ports at the hook `port` read when the node `writer` writes 1 at one place and nothing else writes.

    Every node between them passes on what it reads: its non-linearity counts as the identity, a pooling as the mean
    over its field. For a convolution the result is a kernel, around the place written; for a dense layer one number
    for each reader. Works where a node's port has the axis that the node has (units, channels); heads and whole blocks
    mix what they read by rules that no weight tells, and raise. Costs no forward pass but those that tell shapes.
    """
    site = Site.parse(writer)
    if site.hook not in graph.nodes:
        raise UnknownNameError("node", site.hook, graph.nodes, where=" in this graph")
    if port not in graph.ports:
        raise UnknownNameError("port", port, graph.ports, where=" in this graph")
    parameter = next(graph.model.parameters())
    example = tree_map(lambda x: x.to(parameter) if x.is_floating_point() else x, graph.model.example(1))
    wrote = {hook: torch.zeros_like(x[:1]) for hook, x in graph.writes(example).items()}
    wrote[site.hook] = impulse(graph, site, wrote[site.hook])
    order = list(graph.nodes)
    for hook in order[order.index(site.hook) + 1 :]:
        reads = graph.nodes[hook].reads
        if port in reads:
            break
        check_passes(graph, hook)
        wrote[hook] = pass_on(read(graph, reads[0], wrote), wrote[hook])
    return graph.group(port, read(graph, port, wrote))[0]


def impulse(graph: Graph, site: Site, like: Tensor) -> Tensor:
    """1 at a node, in the middle of its space if it has any."""
    axis = graph.nodes[site.hook].axis
    entry = site.index.get(axis or "")
    if set(site.index) != ({axis} if axis else set()) or not isinstance(entry, int | None):
        raise InputError(f"{site} is not one node. Write it like {site.hook}[{axis}=0].")
    grouped = graph.group(site.hook, like.clone())
    if entry is not None:
        site.check({str(axis): grouped.shape[1]})
    middle = tuple(n // 2 for n in grouped.shape[2:])
    grouped[(0, entry or 0, *middle)] = 1
    return graph.ungroup(site.hook, grouped)


def read(graph: Graph, port: str, wrote: dict[str, Tensor]) -> Tensor:
    """What the ports read from these writes, without their constant, in the hook's own layout."""
    carried = [
        wire.carry(graph.group(wire.writer, wrote[wire.writer]), wrote[wire.writer].new_ones(graph.wiring.shape(name)))
        for name, wire in graph.wires.items()
        if wire.port == port
    ]
    return graph.ungroup(port, torch.stack(carried).sum(dim=0))


def check_passes(graph: Graph, hook: str) -> None:
    """Raises for nodes that do more than pass on what their own port reads."""
    group = graph.nodes[hook]
    if len(group.reads) != 1 or group.axis is None or graph.size[group.reads[0]] != graph.size[hook]:
        raise ConfigError(
            f"{hook} is no layer of units or channels, each with a port of its own, so no weights lead through it. "
            "For heads there are composition scores: the analysis 'composition'."
        )


def pass_on(x: Tensor, like: Tensor) -> Tensor:
    """What a node passes on, pooled to the size at which it writes."""
    return adaptive_avg_pool2d(x, (like.shape[2], like.shape[3])) if x.ndim == 4 and x.shape != like.shape else x
