"""OV and QK circuits of heads from their weights, including the norms they read through (Elhage et al. 2021)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from workbench.core.errors import ConfigError, InputError, UnknownNameError
from workbench.core.graph import Graph
from workbench.core.hooked import HookedModel
from workbench.core.sites import Site

LARGEST_VOCABULARY = 4096
"""Largest vocabulary whose table of all pairs of tokens is computed: 64 MB for each head."""
NORM_OF = {"cross_q": "ln_cross", "cross_k": "ln_source", "cross_v": "ln_source"}
"""Name of the norm, within its block, that a port reads through. Other ports read through `ln1`."""


@dataclass(frozen=True)
class HeadWeights:
    """Heads of one layer, each as matrices that act on row vectors from the right.

    `query`, `key` and `value` read the stream and include the gain and centring of the norm, but not its scale, which
    depends on the input. `reads` are the hooks of their ports, in this order.
    """

    hook: str
    reads: tuple[str, ...]
    query: Float[Tensor, "head d_model d_head"]
    key: Float[Tensor, "head source_d_model d_head"]
    value: Float[Tensor, "head source_d_model d_head"]
    out: Float[Tensor, "head d_head d_model"]


@torch.no_grad()
def head_weights(graph: Graph) -> list[HeadWeights]:
    """Return the heads of every layer whose heads are nodes, in firing order; raises InputError if there are none."""
    hooks = [hook for hook, group in graph.nodes.items() if group.axis == "head" and len(group.reads) == 3]
    if not hooks:
        raise ConfigError(
            f"The graph of {type(graph.model).__name__} has no attention heads, so none compose. The analyses 'nodes' "
            "and 'circuit' fit every graph, and expanded_weights follows the weights of networks without attention."
        )
    return [weights_at(graph, hook) for hook in hooks]


def weights_at(graph: Graph, hook: str) -> HeadWeights:
    """Return the heads that write at one hook."""
    attn: Any = graph.model.get_submodule(hook.rpartition(".")[0])
    reads = graph.nodes[hook].reads
    query, key, value = (
        fold_norm(norm_of(graph.model, port), weight)
        for port, weight in zip(reads, (attn.W_Q, attn.W_K, attn.W_V), strict=True)
    )
    return HeadWeights(hook, reads, query, key, value, attn.W_O)


def norm_of(model: HookedModel, port: str) -> Any:
    """Return the norm that a port reads through."""
    block, _, name = port.rpartition(".")
    return getattr(model.get_submodule(block), NORM_OF.get(name.removeprefix("hook_").removesuffix("_input"), "ln1"))


def fold_norm(norm: Any, weight: Float[Tensor, "*head d_model any"]) -> Float[Tensor, "*head d_model any"]:
    """Multiply the gain and centring of a norm into the weight that reads through it."""
    if not hasattr(norm, "w"):
        return weight
    scaled = rearrange(norm.w, "d_model -> d_model 1") * weight
    return scaled if norm.b is None else scaled - scaled.mean(dim=-2, keepdim=True)


# Between tokens


@torch.no_grad()
def ov_circuit(model: HookedModel, head: str) -> Float[Tensor, "source_vocab vocab"]:
    """Compute the effect of attending to each token on the logit of every token: W_E W_V W_O W_U (Elhage et al. 2021).

    `head` is a site such as `blocks.0.attn.hook_z[head=1]`. Gain and centring of the norms are included, their scale
    is not.
    """
    graph = model.graph()
    heads, i = find_head(graph, head)
    embed, unembed = embedding(graph, heads.reads[2]), unembedding(graph, heads.hook)
    if embed is None or unembed is None:
        raise InputError(
            f"{head} is not between an embedding and an unembedding. Choose a head that writes to the output."
        )
    return small_enough(embed) @ heads.value[i] @ heads.out[i] @ unembed


@torch.no_grad()
def qk_circuit(model: HookedModel, head: str) -> Float[Tensor, "vocab source_vocab"]:
    """Compute attention scores of every token (query) for every token (key): W_E W_Q W_K^T W_E^T / sqrt(d_head).

    The scores are before softmax, without biases, positions and the scale of the norm.
    """
    graph = model.graph()
    heads, i = find_head(graph, head)
    query, key = (embedding(graph, port) for port in heads.reads[:2])
    if query is None or key is None:
        raise InputError(f"{head} reads no embedding of tokens. Choose a head of a stream that starts with one.")
    return small_enough(query) @ heads.query[i] @ (small_enough(key) @ heads.key[i]).mT / heads.query.shape[-1] ** 0.5


@torch.no_grad()
def copying_score(graph: Graph, heads: HeadWeights) -> Float[Tensor, " head"]:
    """Compute the sum of the OV circuit's eigenvalues over the sum of their absolute values: 1 copies, -1 suppresses.

    The non-zero eigenvalues of W_E W_V W_O W_U are those of W_O W_U W_E W_V, a matrix as wide as a head. NaN for heads
    that are not between an embedding and the unembedding.
    """
    embed, unembed = embedding(graph, heads.reads[2]), unembedding(graph, heads.hook)
    if embed is None or unembed is None:
        return heads.out.new_full((len(heads.out),), torch.nan)
    eigenvalues = torch.linalg.eigvals((heads.out @ unembed) @ (embed @ heads.value))
    return eigenvalues.real.sum(dim=-1) / eigenvalues.abs().sum(dim=-1)


def embedding(graph: Graph, port: str) -> Float[Tensor, "vocab d_model"] | None:
    """Return the token embedding that a port reads."""
    writers = [wire.writer for wire in graph.wires_into(port) if wire.writer.endswith("hook_embed")]
    tables = [getattr(graph.model.get_submodule(hook.replace("hook_embed", "embed")), "W_E", None) for hook in writers]
    return tables[0] if tables else None


def unembedding(graph: Graph, hook: str) -> Float[Tensor, "d_model vocab"] | None:
    """Return the unembedding, if the nodes of a hook write to the stream that it reads."""
    ends = [wire for wire in graph.wires.values() if wire.writer == hook and wire.port in graph.sinks]
    unembed: Any = getattr(graph.model, "unembed", None)
    return fold_norm(getattr(graph.model, "ln_final", None), unembed.W_U) if ends and unembed is not None else None


def small_enough(table: Float[Tensor, "vocab d_model"]) -> Float[Tensor, "vocab d_model"]:
    """Return the embedding if the table of all pairs of its tokens is small enough."""
    if len(table) > LARGEST_VOCABULARY:
        raise InputError(
            f"A vocabulary of {len(table):,} makes a table of {len(table) ** 2:,} pairs; at most "
            f"{LARGEST_VOCABULARY:,} tokens are shown. Use copying_score, which needs no such table."
        )
    return table


def find_head(graph: Graph, head: str) -> tuple[HeadWeights, int]:
    """Return the layer and the index of the head at a site."""
    site, layers = Site.parse(head), {heads.hook: heads for heads in head_weights(graph)}
    if site.hook not in layers:
        raise UnknownNameError("heads at", site.hook, layers, where=f" in {type(graph.model).__name__}")
    number = site.index.get("head")
    if not isinstance(number, int):
        raise InputError(f"{head} is not one head. Write it like {site.hook}[head=0].")
    site.check({"head": len(layers[site.hook].out)})
    return layers[site.hook], number
