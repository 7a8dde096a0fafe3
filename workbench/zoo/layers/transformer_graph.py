"""Computation graphs of transformers: embeddings, heads and MLPs write to a residual stream that later ones read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from einops import einsum, rearrange
from jaxtyping import Float
from torch import Tensor

from workbench.core.graph import Carry, Graph, Nodes, Ports, Reader, Wire
from workbench.core.hooked import HookedModel
from workbench.core.wiring import Sees

DETAILS = ("head", "neuron", "block")
"""Heads with q, k and v ports and whole MLPs; the same with single neurons; whole attention layers and MLPs."""


direct_wire = partial(Wire.along, lift=lambda write: write)
"""Makes the wire of a write that is added to the stream unchanged."""


def project_heads(attn: Any, z: Float[Tensor, "batch head pos d_head"]) -> Float[Tensor, "batch head pos d_model"]:
    """Compute the output of each head: z times W_O."""
    return einsum(z, attn.W_O, "batch head pos d, head d m -> batch head pos m")


def carry_neurons(mlp: Any) -> Carry:
    """Return the transport of neurons to the stream: edges scale rows of W_out, without a tensor per neuron."""

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
    """Compute the gradient at each head's copy of the stream from the gradient at its query, key or value."""
    at_normalized = einsum(gradient, weight, "batch pos head d, head m d -> head batch pos m")
    return rearrange(norm.pull(stream, at_normalized), "head batch pos m -> batch head pos m")


class Stream:
    """Residual stream during construction of the graph: its writers so far and the ports that read it."""

    def __init__(self) -> None:
        self.nodes: list[Nodes] = []
        self.ports: list[Ports] = []
        self.wires: list[Wire] = []
        self.writers: list[Callable[[str], Wire]] = []
        self.biases: list[Callable[[], Tensor]] = []

    def add(self, group: Nodes, wire: Callable[[str, str], Wire], bias: Callable[[], Tensor] | None = None) -> None:
        """Add nodes that write to the stream.

        Args:
            group: The nodes.
            wire: Makes the wire from the nodes to a later port, given both hooks.
            bias: Bias added together with the nodes' writes.
        """
        self.nodes.append(group)
        self.writers.append(partial(wire, group.hook))
        self.biases += [bias] if bias else []

    def read(self, port: Ports) -> None:
        """Add a group of ports that read everything written so far."""
        biases = tuple(self.biases)
        constant = lambda: sum((bias() for bias in biases), torch.zeros(()))
        self.ports.append(Ports(port.hook, port.axis, constant, port.sees, port.reader))
        self.wires += [wire(port.hook) for wire in self.writers]


@dataclass(frozen=True)
class HeadInput:
    """Input of queries, or of keys and values: the stream at a hook, its norm, and the positions attended to."""

    stream: Stream
    hook: str
    norm: Any
    sees: Sees = "same"


def add_heads(attn: Any, here: str, name: str, queries: HeadInput, sources: HeadInput) -> None:
    """Add heads with q, k and v ports that write to the stream of their queries."""
    inputs = tuple(f"{here}.hook_{name}{x}_input" for x in "qkv")
    reads = ((queries, attn.W_Q), (sources, attn.W_K), (sources, attn.W_V))
    for port, x, (reading, weight) in zip(inputs, "qkv", reads, strict=True):
        pull = partial(pull_projection, reading.norm, weight)
        reader = Reader(f"{here}.{name}attn.hook_{x}", reading.hook, pull)
        reading.stream.read(Ports(port, "head", sees=reading.sees, reader=reader))
    heads = partial(Wire.along, lift=partial(project_heads, attn))
    queries.stream.add(Nodes(f"{here}.{name}attn.hook_z", "head", inputs), heads, lambda: attn.b_O)


def add_attention(stream: Stream, block: Any, here: str, causal: bool, detail: str) -> None:
    """Add a self-attention layer as heads, or as one node with one port."""
    sees = "earlier" if causal else "all"
    if detail == "block":
        stream.read(Ports(f"{here}.hook_attn_in", None, sees=sees))
        stream.add(Nodes(f"{here}.hook_attn_out", None, (f"{here}.hook_attn_in",)), direct_wire)
    else:
        own = partial(HeadInput, stream, f"{here}.hook_resid_pre", block.ln1)
        add_heads(block.attn, here, "", own(), own(sees))


def add_cross_attention(stream: Stream, source: Stream, block: Any, here: str, end: str, detail: str) -> None:
    """Add a cross-attention layer as heads, or as one node with two ports.

    Keys and values read the other stream at the hook `end`.
    """
    if detail == "block":
        inputs = (f"{here}.hook_cross_attn_in", f"{here}.hook_cross_source_in")
        stream.read(Ports(inputs[0], None))
        source.read(Ports(inputs[1], None, sees="all"))
        stream.add(Nodes(f"{here}.hook_cross_attn_out", None, inputs), direct_wire)
    else:
        queries = HeadInput(stream, f"{here}.hook_resid_mid", block.ln_cross)
        add_heads(block.cross_attn, here, "cross_", queries, HeadInput(source, end, block.ln_source, "all"))


def add_mlp(stream: Stream, block: Any, here: str, detail: str) -> None:
    """Add an MLP as one node, or as neurons that share one port."""
    port, mlp = f"{here}.hook_mlp_in", block.mlp
    stream.read(Ports(port, None))
    if detail == "neuron":
        neurons = Nodes(f"{here}.mlp.hook_post", "d_mlp", (port,))
        stream.add(neurons, partial(Wire, carry=carry_neurons(mlp)), lambda: mlp.b_out)
    else:
        stream.add(Nodes(f"{here}.hook_mlp_out", None, (port,)), direct_wire)


def add_embeddings(stream: Stream, model: HookedModel, here: str = "") -> None:
    """Add the token embedding and, if learned, the positional embedding."""
    for hook in (f"{here}hook_embed", f"{here}hook_pos_embed"):
        if hook in model.hook_dict:
            stream.add(Nodes(hook, None), direct_wire)


def residual_graph(model: HookedModel, detail: str) -> Graph:
    """Build the graph of a GPT: embeddings, then every block, then the final stream as sink."""
    stream, blocks = Stream(), list(enumerate(model.blocks))  # type: ignore[arg-type]
    add_embeddings(stream, model)
    for layer, block in blocks:
        here = f"blocks.{layer}"
        add_attention(stream, block, here, model.cfg.causal, detail)
        if f"{here}.hook_mlp_in" in model.hook_dict:
            add_mlp(stream, block, here, detail)
    stream.read(Ports(f"blocks.{len(blocks) - 1}.hook_resid_post", None))
    return Graph(model, stream.nodes, stream.ports, stream.wires)


def encoder_decoder_graph(model: Any, detail: str) -> Graph:
    """Build the graph of an encoder-decoder: two streams, with the decoder's final stream as sink.

    Keys and values of cross-attention read the encoder's final stream.
    """
    source, target = Stream(), Stream()
    add_embeddings(source, model, "encoder.")
    add_embeddings(target, model, "decoder.")
    for layer, block in enumerate(model.encoder.blocks):
        here = f"encoder.blocks.{layer}"
        add_attention(source, block, here, False, detail)
        add_mlp(source, block, here, detail)
    end = f"encoder.blocks.{len(model.encoder.blocks) - 1}.hook_resid_post"
    for layer, block in enumerate(model.decoder.blocks):
        here = f"decoder.blocks.{layer}"
        add_attention(target, block, here, True, detail)
        add_cross_attention(target, source, block, here, end, detail)
        add_mlp(target, block, here, detail)
    target.read(Ports(f"decoder.blocks.{len(model.decoder.blocks) - 1}.hook_resid_post", None))
    return Graph(model, source.nodes + target.nodes, source.ports + target.ports, source.wires + target.wires)
