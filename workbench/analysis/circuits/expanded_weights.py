"""Expanded weights: the weights from a node to a later one, multiplied through the layers between them.

Non-linearities on the path are treated as the identity (Cammarata et al. 2021, "Curve Circuits").
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from workbench.core.errors import ConfigError, InputError, UnknownNameError
from workbench.core.graph import Graph
from workbench.core.sites import Site
from workbench.core.torch_internals import tree_map


@torch.no_grad()
def expanded_weights(graph: Graph, writer: str, port: str) -> Float[Tensor, "reader *space"]:
    """Compute what the ports at `port` read when one node writes 1 at one place and nothing else writes.

    Nodes in between pass on what they read: a non-linearity counts as the identity, a pooling as the mean over its
    field. The result is a kernel around the place for a convolution, and one number per reader for a dense layer.
    Attention heads and whole blocks mix what they read in ways that are not given by weights, and are refused.

    Cost: forward passes on one example to find the shapes.
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
    """Write 1 at a node, in the centre of its map if it has one."""
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
    """Compute what the ports read from these writes, without their constant, in the layout of the hook."""
    carried = [
        wire.carry(graph.group(wire.writer, wrote[wire.writer]), wrote[wire.writer].new_ones(graph.wiring.shape(name)))
        for name, wire in graph.wires.items()
        if wire.port == port
    ]
    return graph.ungroup(port, torch.stack(carried).sum(dim=0))


def check_passes(graph: Graph, hook: str) -> None:
    """Raise InputError for nodes that do more than pass on what their own port reads."""
    group = graph.nodes[hook]
    if len(group.reads) != 1 or group.axis is None or graph.size[group.reads[0]] != graph.size[hook]:
        raise ConfigError(
            f"{hook} is not a layer of units or channels with one port each, so no weights lead through it. "
            "For heads there are composition scores: the analysis 'composition'."
        )


def pass_on(x: Tensor, like: Tensor) -> Tensor:
    """Pool what a node reads to the size at which it writes."""
    return adaptive_avg_pool2d(x, (like.shape[2], like.shape[3])) if x.ndim == 4 and x.shape != like.shape else x
