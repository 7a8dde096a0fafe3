"""Token and positional embeddings, and the unembedding."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import linear

Stream = Float[Tensor, "batch pos d_model"]
Tokens = Int[Tensor, "batch pos"]


class Embed(nn.Module):
    """Token embedding."""

    def __init__(self, d_vocab: int, d_model: int) -> None:
        super().__init__()
        self.W_E = nn.Parameter(torch.empty(d_vocab, d_model))

    def forward(self, tokens: Tokens) -> Stream:
        return nn.functional.embedding(tokens, self.W_E)


class PosEmbed(nn.Module):
    """Learned positional embedding."""

    def __init__(self, n_ctx: int, d_model: int) -> None:
        super().__init__()
        self.W_pos = nn.Parameter(torch.empty(n_ctx, d_model))

    def forward(self, tokens: Tokens, start: int = 0) -> Stream:
        return self.W_pos[start : start + tokens.shape[1]].expand(len(tokens), -1, -1)


class Unembed(nn.Module):
    """Linear map to logits; `tied` shares the weights of the embedding."""

    def __init__(self, embed: Embed, tied: bool) -> None:
        super().__init__()
        self._embed = [embed] if tied else []  # in a list, so that it is not registered as a submodule
        d_vocab, d_model = embed.W_E.shape
        if not tied:
            self._W_U = nn.Parameter(torch.empty(d_model, d_vocab))
        self.b_U = nn.Parameter(torch.zeros(d_vocab))

    @property
    def W_U(self) -> Float[Tensor, "d_model vocab"]:
        """Unembedding matrix."""
        return self._embed[0].W_E.T if self._embed else self._W_U

    def forward(self, x: Stream) -> Float[Tensor, "batch pos vocab"]:
        return linear(x, self.W_U.T, self.b_U)
