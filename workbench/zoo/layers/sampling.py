"""Token sampling with temperature, top-k and nucleus (top-p; Holtzman et al. 2020)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Gt, Le
from jaxtyping import Float, Int
from torch import Tensor

from workbench.core.ranges import NonNegativeFloat, PositiveInt, check_fields


@dataclass(frozen=True)
class SamplingConfig:
    """Sampling options. Temperature 0 is greedy; top_k and top_p keep only the most likely tokens."""

    temperature: NonNegativeFloat = 1.0
    top_k: PositiveInt | None = None
    top_p: Annotated[float, Gt(0), Le(1)] | None = None

    def __post_init__(self) -> None:
        check_fields(self)


def filter_logits(logits: Float[Tensor, "batch vocab"], sampling: SamplingConfig) -> Float[Tensor, "batch vocab"]:
    """Divide logits by the temperature and set those excluded by top-k or top-p to -inf."""
    logits = logits / max(sampling.temperature, 1e-9)
    if sampling.top_k is not None:
        kept = logits.topk(min(sampling.top_k, logits.shape[-1])).values[:, -1:]
        logits = logits.masked_fill(logits < kept, -torch.inf)
    if sampling.top_p is not None:
        ordered, order = logits.sort(descending=True)
        probability = ordered.softmax(dim=-1)
        before = probability.cumsum(dim=-1) - probability  # 0 for the likeliest token, which is always kept
        logits = logits.masked_fill((before >= sampling.top_p).gather(1, order.argsort(dim=-1)), -torch.inf)
    return logits


def draw(
    logits: Float[Tensor, "batch vocab"], sampling: SamplingConfig, generator: torch.Generator
) -> Int[Tensor, " batch"]:
    """Sample one token per row."""
    if sampling.temperature == 0:
        return logits.argmax(dim=-1)
    # One uniform number per row; torch.multinomial draws one per token.
    reached = filter_logits(logits, sampling).double().softmax(dim=-1).cumsum(dim=-1)
    level = torch.rand(len(logits), 1, generator=generator, dtype=torch.float64).to(logits.device)
    return torch.searchsorted(reached, level * reached[:, -1:], right=True)[:, 0]
