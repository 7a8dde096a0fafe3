"""Wrapper of a Hugging Face network that returns its logits."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64, "vocab_size": 50}


class Logits(nn.Module):
    """The logits of a Hugging Face model, no cache kept."""

    def __init__(self, model: Any, twice: bool = False) -> None:
        super().__init__()
        model.config.use_cache = False
        self.model, self.twice = model, twice

    def forward(self, x: Tensor) -> Tensor:
        if not self.twice:
            return self.model(x).logits
        return self.model(input_ids=x, decoder_input_ids=x).logits
