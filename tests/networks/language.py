"""Transformers and state-space models of tokens."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.networks.hugging_face import SMALL, Logits
from tests.networks.network import Network, entry


class OwnAttention(nn.Module):
    """Attention written by hand with a causal mask, a norm and a feed-forward layer."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.place = nn.Embedding(20, 16), nn.Parameter(torch.randn(9, 16))
        self.norm, self.qkv, self.out = nn.LayerNorm(16), nn.Linear(16, 48), nn.Linear(16, 16)
        self.norm2, self.up, self.down, self.head = (
            nn.LayerNorm(16),
            nn.Linear(16, 32),
            nn.Linear(32, 16),
            nn.Linear(16, 20),
        )

    def forward(self, tokens: Tensor) -> Tensor:
        b, n = tokens.shape
        x = self.embed(tokens) + self.place[:n]
        q, k, v = self.qkv(self.norm(x)).reshape(b, n, 3, 4, 4).permute(2, 0, 3, 1, 4)
        scores = (q @ k.transpose(-1, -2)) / 2
        scores = scores.masked_fill(torch.triu(torch.ones(n, n, dtype=torch.bool), 1), -torch.inf)
        x = x + self.out((scores.softmax(-1) @ v).transpose(1, 2).reshape(b, n, 16))
        x = x + self.down(F.gelu(self.up(self.norm2(x))))
        return self.head(x)


FEW = {**SMALL, "num_key_value_heads": 2}
OLD = {"vocab_size": 50, "n_positions": 32, "n_embd": 32, "n_layer": 2, "n_head": 4}
NARROW = {"vocab_size": 50, "hidden_size": 32}
SIDES = {f"{side}_{what}": n for side in ("encoder", "decoder") for what, n in
         (("layers", 1), ("attention_heads", 4), ("ffn_dim", 64))}  # fmt: skip
T5 = {"vocab_size": 50, "d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4}
OPT = {**NARROW, "num_hidden_layers": 2, "num_attention_heads": 4, "ffn_dim": 64, "word_embed_proj_dim": 32}
DISTIL = {"vocab_size": 50, "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64}
FALCON = {name: n for name, n in SMALL.items() if name != "intermediate_size"}
MODELS: dict[str, tuple[str, str, str, dict[str, Any]]] = {
    "gpt2": ("decoder", "GPT2LMHeadModel", "GPT2Config", OLD),
    "gpt2_eager": ("decoder", "GPT2LMHeadModel", "GPT2Config", {**OLD, "attn_implementation": "eager"}),
    "gpt_neo_x": ("decoder", "GPTNeoXForCausalLM", "GPTNeoXConfig", SMALL),
    "gpt_j": ("decoder", "GPTJForCausalLM", "GPTJConfig", {**OLD, "rotary_dim": 4}),
    "opt": ("decoder", "OPTForCausalLM", "OPTConfig", OPT),
    "bloom": ("decoder", "BloomForCausalLM", "BloomConfig", {**NARROW, "n_layer": 2, "n_head": 4}),
    "falcon": ("decoder", "FalconForCausalLM", "FalconConfig", FALCON),
    "llama": ("decoder", "LlamaForCausalLM", "LlamaConfig", FEW),
    "mistral": ("decoder", "MistralForCausalLM", "MistralConfig", FEW),
    "qwen2": ("decoder", "Qwen2ForCausalLM", "Qwen2Config", FEW),
    "qwen3": ("decoder", "Qwen3ForCausalLM", "Qwen3Config", {**FEW, "head_dim": 8}),
    "gemma": ("decoder", "GemmaForCausalLM", "GemmaConfig", {**FEW, "head_dim": 8}),
    "gemma2": ("decoder", "Gemma2ForCausalLM", "Gemma2Config", {**FEW, "head_dim": 8}),
    "phi": ("decoder", "PhiForCausalLM", "PhiConfig", SMALL),
    "mixtral": ("mixture of experts", "MixtralForCausalLM", "MixtralConfig", {**FEW, "num_local_experts": 3}),
    "bert": ("encoder", "BertForMaskedLM", "BertConfig", SMALL),
    "roberta": ("encoder", "RobertaForMaskedLM", "RobertaConfig", SMALL),
    "distilbert": ("encoder", "DistilBertForMaskedLM", "DistilBertConfig", DISTIL),
    "electra": ("encoder", "ElectraForPreTraining", "ElectraConfig", {**SMALL, "embedding_size": 32}),
    "mamba": ("state space", "MambaForCausalLM", "MambaConfig", {**NARROW, "num_hidden_layers": 1, "state_size": 4}),
    "t5": ("encoder-decoder", "T5ForConditionalGeneration", "T5Config", {**T5, "decoder_start_token_id": 0}),
    "bart": (
        "encoder-decoder",
        "BartForConditionalGeneration",
        "BartConfig",
        {"vocab_size": 50, "d_model": 32, "max_position_embeddings": 32, **SIDES},
    ),
}
"""Kind, class and configuration of each network of Hugging Face."""


def hugging_face(model: str, config: str, settings: dict[str, Any], pair: bool) -> nn.Module:
    """A randomly initialised network of Hugging Face."""
    import transformers

    return Logits(getattr(transformers, model)(getattr(transformers, config)(**settings)), pair)


def tokens() -> Tensor:
    """Four rows of seven tokens."""
    return torch.randint(1, 50, (4, 7))


def torch_encoder() -> nn.Module:
    """PyTorch's own encoder."""
    layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)


def language() -> dict[str, Callable[[], Network]]:
    """Transformers and state-space models of tokens."""
    own = [
        entry("decoder", "own_attention", OwnAttention, lambda: torch.randint(20, (4, 6))),
        entry("encoder", "torch_encoder", torch_encoder, lambda: torch.randn(4, 5, 16)),
    ]
    theirs = [
        entry(kind, name, partial(hugging_face, model, config, settings, kind == "encoder-decoder"), tokens)
        for name, (kind, model, config, settings) in MODELS.items()
    ]
    return dict([*theirs, *own])
