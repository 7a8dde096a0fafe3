"""A user's own GPT-2 from Hugging Face transformers as our GPT: every hook, the graph and all techniques with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn

from workbench.core.errors import ConfigError
from workbench.zoo.gpt import GPT, GPTConfig

ACTIVATIONS = {"gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh", "gelu": "gelu", "relu": "relu"}
KIND = "gpt2"


@torch.no_grad()
def from_transformers(module: nn.Module, tokenizer: Any = None) -> GPT:
    """The same network, with copied weights and the same logits to rounding, in evaluation mode.

    `module` is a `GPT2LMHeadModel` (of any size, trained or not), `tokenizer` one of ours (`BytePairTokenizer` takes
    `hf_tokenizer.backend_tokenizer.to_str()`) or None. Raises for other architectures and for variants of GPT-2 that
    compute something else; `workbench.wrap` opens those, without a graph.
    """
    config: Any = getattr(module, "config", None)
    check(config, module)
    weights = dict(module.state_dict())
    cfg = GPTConfig(
        d_vocab=config.vocab_size, n_ctx=config.n_positions, n_layers=config.n_layer, d_model=config.n_embd,
        n_heads=config.n_head, d_mlp=config.n_inner, activation=ACTIVATIONS[config.activation_function],  # type: ignore
        tie_embeddings=config.tie_word_embeddings,
    )  # fmt: skip
    model = GPT(cfg).to(weights["transformer.wte.weight"].dtype)
    model.load_state_dict(renamed(weights, cfg))
    model.tokenizer = tokenizer
    return model.eval()


def check(config: Any, module: nn.Module) -> None:
    """Raises unless the module is a GPT-2 that computes what our GPT does."""
    if getattr(config, "model_type", None) != KIND or "transformer.wte.weight" not in module.state_dict():
        raise ConfigError(
            f"{type(module).__name__} is no GPT2LMHeadModel. Give one, or open the module with workbench.wrap, which "
            "takes any, without a graph."
        )
    odd = {
        "activation_function": config.activation_function not in ACTIVATIONS,
        "scale_attn_by_inverse_layer_idx": config.scale_attn_by_inverse_layer_idx,
        "scale_attn_weights": not config.scale_attn_weights,
        "add_cross_attention": config.add_cross_attention,
        "layer_norm_epsilon": config.layer_norm_epsilon != 1e-5,
    }
    if strange := next((name for name, is_odd in odd.items() if is_odd), None):
        raise ConfigError(
            f"This GPT-2 has {strange}={getattr(config, strange)!r}, which our GPT does not compute. Open it with "
            "workbench.wrap, without a graph."
        )


def renamed(theirs: Mapping[str, Tensor], cfg: GPTConfig) -> dict[str, Tensor]:
    """Their weights under our names, heads apart."""
    ours = {"embed.W_E": theirs["transformer.wte.weight"], "pos_embed.W_pos": theirs["transformer.wpe.weight"]}
    ours |= {f"ln_final.{x}": theirs[f"transformer.ln_f.{name}"] for x, name in (("w", "weight"), ("b", "bias"))}
    ours["unembed.b_U"] = torch.zeros_like(theirs["transformer.wte.weight"][:, 0])
    if not cfg.tie_embeddings:
        ours["unembed._W_U"] = theirs["lm_head.weight"].T
    for layer in range(cfg.n_layers):
        ours |= renamed_block(theirs, f"transformer.h.{layer}", f"blocks.{layer}", cfg.n_heads)
    return {name: tensor.clone() for name, tensor in ours.items()}


def renamed_block(theirs: Mapping[str, Tensor], there: str, here: str, n_heads: int) -> dict[str, Tensor]:
    """One block: queries, keys and values lie side by side in theirs, in maps that act from the right."""
    ours = {}
    for ln, name in (("ln1", "ln_1"), ("ln2", "ln_2")):
        ours |= {f"{here}.{ln}.w": theirs[f"{there}.{name}.weight"], f"{here}.{ln}.b": theirs[f"{there}.{name}.bias"]}
    weight, bias = (theirs[f"{there}.attn.c_attn.{x}"].chunk(3, dim=-1) for x in ("weight", "bias"))
    for x, w, b in zip("QKV", weight, bias, strict=True):
        ours[f"{here}.attn.W_{x}"] = rearrange(w, "m (head d) -> head m d", head=n_heads)
        ours[f"{here}.attn.b_{x}"] = rearrange(b, "(head d) -> head d", head=n_heads)
    out = theirs[f"{there}.attn.c_proj.weight"]
    ours[f"{here}.attn.W_O"] = rearrange(out, "(head d) m -> head d m", head=n_heads)
    ours[f"{here}.attn.b_O"] = theirs[f"{there}.attn.c_proj.bias"]
    for x, name in (("in", "c_fc"), ("out", "c_proj")):
        ours[f"{here}.mlp.W_{x}"] = theirs[f"{there}.mlp.{name}.weight"]
        ours[f"{here}.mlp.b_{x}"] = theirs[f"{there}.mlp.{name}.bias"]
    return ours
