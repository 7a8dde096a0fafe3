"""Single nodes: those of a graph and, for its heads, their queries, keys and values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

import torch
from einops import reduce
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from workbench.core.graph import Graph
from workbench.core.sites import Index, Site
from workbench.core.wiring import Group

Effects = dict[str, Float[Tensor, "_node *_pos _batch"]]
"""Effect of each node on each example (and at each position that the graph keeps), by hook."""


def attention_layers(graph: Graph) -> dict[str, Group]:
    """Return the attention modules whose heads are nodes and whose queries and keys have hooks, with their groups."""
    nodes = graph.wiring.nodes
    found = {hook.removesuffix(".hook_z"): nodes[hook] for hook in nodes if nodes[hook].axis == "head"}
    needed = ("hook_q", "hook_k", "hook_v", "hook_attn_scores", "hook_pattern")
    return {at: heads for at, heads in found.items() if all(f"{at}.{hook}" in graph.model.hook_dict for hook in needed)}


def node_groups(graph: Graph, inputs: Any) -> dict[str, Group]:
    """Return all groups of nodes by hook in firing order, with the queries, keys and values of heads as nodes.

    Queries, keys and values are one node per head, or per position if the graph keeps them (Kramar et al. 2024).
    """
    info = graph.model.trace(inputs)
    groups = dict(graph.wiring.nodes)
    for layer, heads in attention_layers(graph).items():
        for hook in (f"{layer}.hook_{part}" for part in "qkv"):
            positions = None if heads.positions is None else info[hook].size("pos")
            groups[hook] = Group("head", info[hook].size("head"), positions=positions)
    return dict(sorted(groups.items(), key=lambda item: info[item[0]].order))


def places(groups: Mapping[str, Group]) -> Iterator[tuple[Site, str, tuple[int, ...]]]:
    """Return every node: its site, its hook and its place (node,) or (node, pos) in the hook's effects."""
    for hook, group in groups.items():
        for place in product(range(group.size), *([] if group.positions is None else [range(group.positions)])):
            yield site_of(hook, group, place), hook, place


def site_of(hook: str, group: Group, place: tuple[int, ...]) -> Site:
    """Return the site at which a node writes."""
    node, *pos = place
    index: dict[str, Index] = {}
    if group.axis:
        # The last group has what is left, so it is open: a range that reaches outside the axis is an error.
        stop = None if node == group.size - 1 else (node + 1) * group.width
        index[group.axis] = node if group.width == 1 else slice(node * group.width, stop)
    return Site(hook, {**index, **dict(zip(["pos"], pos, strict=False))})


def by_node(x: Tensor, axes: tuple[str, ...], group: Group) -> Float[Tensor, "_drop _node *_pos _batch"]:
    """Sum over the entries of each node, for a tensor with one leading axis before those of the activation."""
    positions = "" if group.positions is None else "pos"
    entries = reduce(x, f"drop {' '.join(axes)} -> drop {group.axis or '()'} {positions} batch", "sum")
    return sum_neighbours(entries, group.width, dim=1)


def sum_neighbours(x: Tensor, width: int, dim: int) -> Tensor:
    """Sum `width` adjacent entries along an axis; the last sum has the remainder."""
    if width == 1:
        return x
    padded = pad(x.movedim(dim, -1), (0, -x.shape[dim] % width))
    return reduce(padded, "... (group width) -> ... group", "sum", width=width).movedim(-1, dim)


@torch.no_grad()
def replace_write(x: Tensor, ablation: str) -> Tensor:
    """Return what a node writes instead: the corrupted run's activation, its batch mean, or zero."""
    if ablation == "zero":
        return torch.zeros_like(x)
    return x.mean(dim=0, keepdim=True).expand_as(x) if ablation == "mean" else x
