"""Attention patterns of heads: attention to the previous token, to duplicates, and to the token after a duplicate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from einops import einsum
from jaxtyping import Bool, Float, Int
from torch import Tensor

from workbench.analysis.circuits.nodes import attention_layers
from workbench.core.coordinates import Result, View
from workbench.core.errors import ConfigError, UnknownNameError
from workbench.core.fitting import needs_axes
from workbench.core.hooked import HookedModel
from workbench.core.registry import ANALYSES
from workbench.core.source_target import SourceTarget

Tokens = Int[Tensor, "batch pos"]
Places = Bool[Tensor, "batch query key"]
KINDS = ("previous", "duplicate", "induction")


@dataclass(frozen=True)
class HeadPatterns(Result):
    """Share of each head's attention (0 to 1) on three kinds of positions (Olsson et al. 2022).

    "previous" is the position before, "duplicate" all earlier positions of the same token, "induction" the positions
    right after those. Each is the mean over the queries that have such a position, NaN if there are none. `heads` are
    sites, in firing order.
    """

    view: ClassVar[View] = View(
        quantity="share of attention", title="Attention of heads",
        sentence="Of {heads:n} heads, the strongest of each kind are {share:each}.",
    )  # fmt: skip

    heads: tuple[str, ...]
    kinds: tuple[str, ...]
    share: Float[Tensor, "kind head"]

    def of(self, kind: str) -> Float[Tensor, " head"]:
        """Return every head's share for one kind of positions."""
        if kind not in self.kinds:
            raise UnknownNameError("kind of places", kind, self.kinds)
        return self.share[self.kinds.index(kind)]

    def above(self, kind: str, least: float) -> tuple[str, ...]:
        """Return the heads with at least this share of attention on one kind of positions, the strongest first."""
        shares = self.of(kind)
        order = shares.argsort(descending=True).tolist()
        return tuple(self.heads[i] for i in order if shares[i] >= least)


@ANALYSES.register("head_patterns")
@needs_axes("head")
@torch.no_grad()
def head_patterns(model: HookedModel, inputs: Any) -> HeadPatterns:
    """Find previous-token, duplicate-token and induction heads by their attention patterns.

    Heads must attend within one sequence (of an encoder-decoder, within the source or within the target).

    Args:
        model: A model of tokens with attention heads.
        inputs: Tokens, batch first. They should contain repeated tokens.

    Returns:
        A `HeadPatterns`: the share of attention of each head on each kind of positions.

    Raises:
        InputError: If no head attends within one sequence of tokens.

    Cost: 1 forward pass.

    References: Olsson et al. 2022.

    Example:
        >>> found = workbench.run("head_patterns", model="induction_gpt", inputs="test:0:8")
        >>> found.above("previous", 0.5)
        ('blocks.0.attn.hook_z[head=0]',)
    """
    layers = layers_with_tokens(model, inputs)
    cached = model.cache(inputs, [f"{layer}.hook_pattern" for layer in layers])
    shares, names = [], []
    for layer, tokens in layers.items():
        pattern = cached[f"{layer}.hook_pattern"]
        places = (before(tokens), same_token(tokens), after_same_token(tokens))
        real = not_padding(tokens, getattr(model.cfg, "pad", None))
        shares.append(torch.stack([attended(pattern, where & real) for where in places]))
        names += [f"{layer}.hook_z[head={i}]" for i in range(pattern.shape[1])]
    return HeadPatterns(tuple(names), KINDS, torch.cat(shares, dim=1))


def layers_with_tokens(model: HookedModel, inputs: Any) -> dict[str, Tokens]:
    """Return the attention layers that attend within one sequence, with the tokens of that sequence."""
    layers = attention_layers(model.graph())
    if layers and model.input_axes == "batch pos":
        return dict.fromkeys(layers, inputs)
    if layers and isinstance(inputs, SourceTarget):
        within = [layer for layer in layers if not layer.endswith("cross_attn")]
        return {layer: inputs.source if layer.startswith("encoder") else inputs.target for layer in within}
    raise ConfigError(f"{type(model).__name__} has no heads that read one sequence of tokens, so none has a score.")


def not_padding(tokens: Tokens, pad: int | None) -> Bool[Tensor, "batch query 1"]:
    """Mark positions that are not padding."""
    real = torch.ones_like(tokens, dtype=torch.bool) if pad is None else tokens != pad
    return real[:, :, None]


def before(tokens: Tokens) -> Places:
    """Mark the position right before each query."""
    n = tokens.shape[1]
    return torch.eye(n, dtype=torch.bool).roll(-1, dims=1).tril(-1).expand(len(tokens), n, n)


def same_token(tokens: Tokens) -> Places:
    """Mark the earlier positions with the same token."""
    return (tokens[:, :, None] == tokens[:, None, :]).tril(-1)


def after_same_token(tokens: Tokens) -> Places:
    """Mark the positions right after earlier positions with the same token."""
    return same_token(tokens).roll(1, dims=2).tril()


def attended(pattern: Float[Tensor, "batch head query key"], places: Places) -> Float[Tensor, " head"]:
    """Compute the share of the attention on these positions, averaged over the queries that have any."""
    queries = places.any(dim=2)
    given = einsum(pattern, places.to(pattern), "batch head query key, batch query key -> batch head query")
    return einsum(given, queries.to(given), "batch head query, batch query -> head") / queries.sum()
