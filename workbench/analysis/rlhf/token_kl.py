"""How far one language model has moved from another, token by token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

Rows = Int[Tensor, "row pos"]


@dataclass(frozen=True)
class TokenKL:
    """KL in nats of the next token's distribution, before each token counted (`mask`); zero at the others."""

    tokens: Int[Tensor, "row less"]
    mask: Bool[Tensor, "row less"]
    kl: Float[Tensor, "row less"]

    @property
    def per_token(self) -> float:
        """Mean over the tokens counted."""
        return float(self.kl.sum() / self.mask.sum())

    @property
    def per_row(self) -> Float[Tensor, " row"]:
        """Sum over each row: an unbiased estimate of the KL of whole texts where the rows come from the model."""
        return self.kl.sum(dim=1)

    def largest(self, n: int) -> list[tuple[int, int, float]]:
        """Token, how often it was counted, and the mean KL before it, for those with the most KL in all."""
        size = int(self.tokens.max()) + 1
        counted = self.tokens[self.mask]
        count = counted.bincount(minlength=size)
        total = counted.bincount(self.kl[self.mask].double(), minlength=size)
        return [
            (int(i), int(count[i]), float(total[i] / count[i])) for i in total.topk(min(n, size)).indices if count[i]
        ]


@torch.no_grad()
def compute_token_kl(
    model: Any,
    reference: Any,
    tokens: Rows,
    counted: Bool[Tensor, "row pos"],
    temperature: float = 1.0,
    chunk: int = 64,
) -> TokenKL:
    """KL(model || reference) of the next token, exact over the vocabulary, at every token `counted` but a row's first.

    Both distributions are those at this temperature.

    Costs one forward pass of each model on all rows, `chunk` at a time.
    """
    parts = []
    for rows in tokens.split(chunk):
        logp, ref_logp = ((gpt(rows)[:, :-1] / temperature).log_softmax(dim=-1) for gpt in (model, reference))
        parts.append((logp.exp() * (logp - ref_logp)).sum(dim=-1))
    mask = counted[:, 1:]
    return TokenKL(tokens[:, 1:], mask, torch.cat(parts) * mask)
