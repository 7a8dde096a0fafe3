"""The graph of a residual transformer: embeddings, heads and MLPs write to the stream, which all later ones read."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from einops import einsum, rearrange
from jaxtyping import Float
from torch import Tensor

from workbench.core.graph import Carry, Graph, Nodes, Ports, Reader, Wire
from workbench.core.hooked import HookedModel

DETAILS = ("head", "neuron", "block")
"""Heads with q, k and v ports and whole MLPs; the same with single neurons; whole attention layers and MLPs."""


as_written = partial(Wire.along, lift=lambda write: write)
"""The wire of a write that is added to the stream as it is."""


def through_heads(attn: Any, z: Float[Tensor, "batch head pos d_head"]) -> Float[Tensor, "batch head pos d_model"]:
    """What each head adds to the stream: z times W_O."""
    return einsum(z, attn.W_O, "batch head pos d, head d m -> batch head pos m")


def carry_neurons(mlp: Any) -> Carry:
    """What neurons add to the stream, each its row of W_out; no neuron's share of it is ever laid out alone."""

    def carry(post: Float[Tensor, "batch d_mlp pos"], mask: Tensor) -> Float[Tensor, "batch port pos d_model"]:
        if mask.ndim == 3:
            masked = einsum(post, mask, "batch neuron pos, neuron port pos -> batch port pos neuron")
            return masked @ mlp.W_out
        rows = einsum(mask, mlp.W_out, "neuron port, neuron m -> neuron port m")
        return einsum(post, rows, "batch neuron pos, neuron port m -> batch port pos m")

    return carry


def pull_projection(
    norm: Any, weight: Float[Tensor, "head d_model d_head"], stream: Tensor, gradient: Tensor
) -> Float[Tensor, "batch head pos d_model"]:
    """Gradient at each head's copy of the stream from that at its query, key or value."""
    at_normalized = einsum(gradient, weight, "batch pos head d, head m d -> head batch pos m")
    return rearrange(norm.pull(stream, at_normalized), "head batch pos m -> batch head pos m")


class Stream:
    """A residual stream under construction: who has written to it so far, and the ports that read it."""

    def __init__(self) -> None:
        self.nodes: list[Nodes] = []
        self.ports: list[Ports] = []
        self.wires: list[Wire] = []
        self.writers: list[Callable[[str], Wire]] = []
        self.biases: list[Callable[[], Tensor]] = []

    def add(self, group: Nodes, wire: Callable[[str, str], Wire], bias: Callable[[], Tensor] | None = None) -> None:
        """Nodes that write from here on, the wire to each later port, and a bias that comes with them."""
        self.nodes.append(group)
        self.writers.append(partial(wire, group.hook))
        self.biases += [bias] if bias else []

    def read(self, port: Ports) -> None:
        """A group of ports that reads all that was written so far."""
        biases = tuple(self.biases)
        constant = lambda: sum((bias() for bias in biases), torch.zeros(()))  # noqa: E731
        self.ports.append(Ports(port.hook, port.axis, constant, port.sees, port.reader))
        self.wires += [wire(port.hook) for wire in self.writers]


def add_attention(stream: Stream, block: Any, here: str, causal: bool, detail: str) -> None:
    """Heads with three ports each, or the whole layer with one."""
    attn = block.attn
    sees = "earlier" if causal else "all"
    if detail == "block":
        stream.read(Ports(f"{here}.hook_attn_in", None, sees=sees))
        stream.add(Nodes(f"{here}.hook_attn_out", None, (f"{here}.hook_attn_in",)), as_written)
        return
    for x, weight in zip("qkv", (attn.W_Q, attn.W_K, attn.W_V), strict=True):
        reader = Reader(f"{here}.attn.hook_{x}", f"{here}.hook_resid_pre", partial(pull_projection, block.ln1, weight))
        stream.read(Ports(f"{here}.hook_{x}_input", "head", sees="same" if x == "q" else sees, reader=reader))
    inputs = tuple(f"{here}.hook_{x}_input" for x in "qkv")
    heads = partial(Wire.along, lift=partial(through_heads, attn))
    stream.add(Nodes(f"{here}.attn.hook_z", "head", inputs), heads, lambda: attn.b_O)


def add_mlp(stream: Stream, block: Any, here: str, detail: str) -> None:
    """The MLP whole, or its neurons, which share one port."""
    port, mlp = f"{here}.hook_mlp_in", block.mlp
    stream.read(Ports(port, None))
    if detail == "neuron":
        neurons = Nodes(f"{here}.mlp.hook_post", "d_mlp", (port,))
        stream.add(neurons, partial(Wire, carry=carry_neurons(mlp)), lambda: mlp.b_out)
    else:
        stream.add(Nodes(f"{here}.hook_mlp_out", None, (port,)), as_written)


def residual_graph(model: HookedModel, detail: str) -> Graph:
    """The tokens' and positions' embeddings as sources, then every block's parts, then the final stream as sink."""
    stream, blocks = Stream(), list(enumerate(model.blocks))  # type: ignore[arg-type]
    for hook in ("hook_embed", "hook_pos_embed"):
        if hook in model.hook_dict:
            stream.add(Nodes(hook, None), as_written)
    for layer, block in blocks:
        here = f"blocks.{layer}"
        add_attention(stream, block, here, model.cfg.causal, detail)
        if f"{here}.hook_mlp_in" in model.hook_dict:
            add_mlp(stream, block, here, detail)
    stream.read(Ports(f"blocks.{len(blocks) - 1}.hook_resid_post", None))
    return Graph(model, stream.nodes, stream.ports, stream.wires)
