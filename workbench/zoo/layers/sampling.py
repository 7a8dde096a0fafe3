"""Sampling the next token: temperature, top-k and nucleus (Holtzman et al. 2020)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from workbench.core.errors import ConfigError


@dataclass(frozen=True)
class Sampling:
    """How a token is drawn. Temperature 0 takes the most likely one; top_k and top_p keep the likeliest tokens."""

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None

    def __post_init__(self) -> None:
        if self.temperature < 0:
            raise ConfigError(f"temperature is {self.temperature}. Give 0 (greedy) or more.")
        if self.top_k is not None and self.top_k < 1:
            raise ConfigError(f"top_k is {self.top_k}. Give at least 1, or None for all tokens.")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ConfigError(f"top_p is {self.top_p}. Give a probability above 0 and at most 1, or None.")


def filtered(logits: Float[Tensor, "batch vocab"], sampling: Sampling) -> Float[Tensor, "batch vocab"]:
    """Logits after temperature, with -inf for tokens that top-k or top-p rule out."""
    logits = logits / max(sampling.temperature, 1e-9)
    if sampling.top_k is not None:
        kept = logits.topk(min(sampling.top_k, logits.shape[-1])).values[:, -1:]
        logits = logits.masked_fill(logits < kept, -torch.inf)
    if sampling.top_p is not None:
        ordered, order = logits.sort(descending=True)
        probability = ordered.softmax(dim=-1)
        before = probability.cumsum(dim=-1) - probability  # the likeliest token is always kept
        logits = logits.masked_fill((before >= sampling.top_p).gather(1, order.argsort(dim=-1)), -torch.inf)
    return logits


def draw(logits: Float[Tensor, "batch vocab"], sampling: Sampling, generator: torch.Generator) -> Int[Tensor, " batch"]:
    """One token for each row."""
    if sampling.temperature == 0:
        return logits.argmax(dim=-1)
    # One uniform number for each row, where torch.multinomial draws one for every token.
    reached = filtered(logits, sampling).double().softmax(dim=-1).cumsum(dim=-1)
    level = torch.rand(len(logits), 1, generator=generator, dtype=torch.float64).to(logits.device)
    return torch.searchsorted(reached, level * reached[:, -1:], right=True)[:, 0]
