"""The graph of a residual transformer: embeddings, heads and MLPs write to the stream, which all later ones read."""

from __future__ import annotations

from typing import Any

import torch
from einops import einsum
from torch import Tensor

from workbench.core.graph import Carry, Graph, Nodes, Ports, Wire
from workbench.core.hooked import HookedModel


def carry_stream(write: Tensor, mask: Tensor) -> Tensor:
    """Identity on the stream: (batch, node, pos, d_model) to (batch, port, pos, d_model)."""
    return einsum(write, mask, "batch node ... , node port -> batch port ...")


def carry_heads(attn: Any) -> Carry:
    """Heads write z times W_O."""

    def carry(z: Tensor, mask: Tensor) -> Tensor:
        result = einsum(z, attn.W_O, "batch head pos d, head d m -> batch head pos m")
        return carry_stream(result, mask)

    return carry


def residual_graph(model: HookedModel) -> Graph:
    """Heads with q, k and v ports, MLPs whole, the tokens' and positions' embeddings as sources."""
    blocks: Any = model.blocks
    nodes = [Nodes(hook, None) for hook in ("hook_embed", "hook_pos_embed") if hook in model.hook_dict]
    carries: dict[str, Carry] = {group.hook: carry_stream for group in nodes}
    ports: list[Ports] = []
    wires: list[Wire] = []

    def add_port(hook: str, axis: str | None, layers: int) -> None:
        ports.append(Ports(hook, axis, lambda: sum((b.attn.b_O for b in blocks[:layers]), torch.zeros(()))))
        wires.extend(Wire(writer, hook, carry) for writer, carry in carries.items())

    def add_node(group: Nodes, carry: Carry) -> None:
        nodes.append(group)
        carries[group.hook] = carry

    for layer, block in enumerate(blocks):
        here = f"blocks.{layer}"
        inputs = tuple(f"{here}.hook_{x}_input" for x in "qkv")
        for hook in inputs:
            add_port(hook, "head", layer)
        add_node(Nodes(f"{here}.attn.hook_z", "head", inputs), carry_heads(block.attn))
        if f"{here}.hook_mlp_in" in model.hook_dict:
            add_port(f"{here}.hook_mlp_in", None, layer + 1)
            add_node(Nodes(f"{here}.hook_mlp_out", None, (f"{here}.hook_mlp_in",)), carry_stream)
    add_port(f"blocks.{len(blocks) - 1}.hook_resid_post", None, len(blocks))
    return Graph(model, nodes, ports, wires)
