"""Where heads look in sequences of tokens: at the position before, at the same token, at what followed it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from einops import einsum
from jaxtyping import Bool, Float, Int
from torch import Tensor

from workbench.analysis.circuits.nodes import attention_layers
from workbench.core.errors import ConfigError, InputError
from workbench.core.hooked import HookedModel

Tokens = Int[Tensor, "batch pos"]
Places = Bool[Tensor, "batch query key"]


@dataclass(frozen=True)
class HeadPatterns:
    """Share of its attention, 0 to 1, that each head gives to three kinds of places (Olsson et al. 2022).

    `previous` is the position before, `duplicate` all earlier positions of the same token, `induction` those right
    after them: the mean over all positions from which there is such a place. `heads` are sites, in firing order.
    """

    heads: tuple[str, ...]
    previous: Float[Tensor, " head"]
    duplicate: Float[Tensor, " head"]
    induction: Float[Tensor, " head"]

    def above(self, kind: str, share: float) -> tuple[str, ...]:
        """The heads that give at least this share to the kind of places, the strongest first."""
        scores: Tensor = getattr(self, kind)
        order = scores.argsort(descending=True).tolist()
        return tuple(self.heads[i] for i in order if scores[i] >= share)


@torch.no_grad()
def head_patterns(model: HookedModel, tokens: Tokens) -> HeadPatterns:
    """Each head's previous-token, duplicate-token and induction score, on sequences in which tokens come again.

    Of any model of tokens whose graph has heads that attend within one stream. Costs one forward pass.
    """
    layers = list(attention_layers(model.graph()))
    if not layers or model.input_axes != "batch pos":
        raise ConfigError(f"{type(model).__name__} has no heads that read one sequence of tokens, so none has a score.")
    patterns = model.cache(tokens, [f"{layer}.hook_pattern" for layer in layers])
    places = {"previous": before(tokens), "duplicate": same_token(tokens), "induction": after_same_token(tokens)}
    scores = {
        kind: torch.cat([attended(patterns[f"{layer}.hook_pattern"], where, kind) for layer in layers])
        for kind, where in places.items()
    }
    n_heads = [patterns[f"{layer}.hook_pattern"].shape[1] for layer in layers]
    heads = [f"{layer}.hook_z[head={i}]" for layer, n in zip(layers, n_heads, strict=True) for i in range(n)]
    return HeadPatterns(tuple(heads), **scores)


def before(tokens: Tokens) -> Places:
    """True at the position right before each."""
    n = tokens.shape[1]
    return torch.eye(n, dtype=torch.bool).roll(-1, dims=1).tril(-1).expand(len(tokens), n, n)


def same_token(tokens: Tokens) -> Places:
    """True at the earlier positions with the same token."""
    return (tokens[:, :, None] == tokens[:, None, :]).tril(-1)


def after_same_token(tokens: Tokens) -> Places:
    """True right after the earlier positions with the same token, where the token that follows next is to be found."""
    return same_token(tokens).roll(1, dims=2).tril()


def attended(pattern: Float[Tensor, "batch head query key"], places: Places, kind: str) -> Float[Tensor, " head"]:
    """Share of the attention that goes to these places, over the queries that have any."""
    queries = places.any(dim=2)
    if not queries.any():
        raise InputError(f"No position has a place for a {kind} score. Give sequences that repeat tokens.")
    given = einsum(pattern, places.to(pattern), "batch head query key, batch query key -> batch head query")
    return einsum(given, queries.to(given), "batch head query, batch query -> head") / queries.sum()
