"""KL divergence between two language models at every token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

Rows = Int[Tensor, "row pos"]


@dataclass(frozen=True)
class TokenKL:
    """KL divergence in nats of the next-token distribution before each token in `mask`; zero at other tokens."""

    tokens: Int[Tensor, "row less"]
    mask: Bool[Tensor, "row less"]
    kl: Float[Tensor, "row less"]

    @property
    def per_token(self) -> float:
        """Mean over the tokens in the mask."""
        return float(self.kl.sum() / self.mask.sum())

    @property
    def per_row(self) -> Float[Tensor, " row"]:
        """Sum over each row. For rows sampled from the model this is an unbiased estimate of the KL of whole texts."""
        return self.kl.sum(dim=1)

    def largest(self, n: int) -> list[tuple[int, int, float]]:
        """Return the `n` tokens with the largest total KL: id, count, and mean KL before it."""
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
    """Compute KL(model || reference) of the next token, exactly over the vocabulary.

    Args:
        model: Language model.
        reference: Language model with the same vocabulary.
        tokens: Rows of token ids.
        counted: True at tokens before which the KL is computed; the first token of a row has none.
        temperature: Temperature of both distributions.
        chunk: Rows per forward pass.

    Cost: 1 forward pass of each model on all rows.
    """
    parts = []
    for rows in tokens.split(chunk):
        logp, ref_logp = ((gpt(rows)[:, :-1] / temperature).log_softmax(dim=-1) for gpt in (model, reference))
        parts.append((logp.exp() * (logp - ref_logp)).sum(dim=-1))
    mask = counted[:, 1:]
    return TokenKL(tokens[:, 1:], mask, torch.cat(parts) * mask)
