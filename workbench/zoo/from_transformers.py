"""Conversion of a Hugging Face GPT-2 to the `GPT` of this package."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn

from workbench.core.arguments import check_arguments
from workbench.core.errors import ConfigError
from workbench.core.random import generator
from workbench.core.training_mode import evaluating
from workbench.zoo.gpt import GPT, GPTConfig

ACTIVATIONS = {"gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh", "gelu": "gelu", "relu": "relu"}
KIND = "GPT2LMHeadModel"
MASKS = (".attn.bias", ".attn.masked_bias")
"""Buffers of older versions, which hold the causal mask."""
OUTER = (
    "transformer.wte.weight", "transformer.wpe.weight", "transformer.ln_f.weight", "transformer.ln_f.bias",
    "lm_head.weight",
)  # fmt: skip
INNER = tuple(
    f"{part}.{kind}"
    for part in ("ln_1", "attn.c_attn", "attn.c_proj", "ln_2", "mlp.c_fc", "mlp.c_proj")
    for kind in ("weight", "bias")
)
CLOSE = {torch.float64: 1e-9, torch.float32: 1e-4}
"""Largest difference of the logits, relative to the largest logit, that rounding explains; 0.05 at half precision."""
LENGTH = 64
"""Tokens per row on which the two networks are compared."""


@torch.no_grad()
@check_arguments
def from_transformers(module: nn.Module, tokenizer: Any = None) -> GPT:
    """Translate a `GPT2LMHeadModel` into a `GPT` with copied weights, in evaluation mode.

    Both networks are run on random tokens, and the translation is returned only if their logits agree to rounding.

    Args:
        module: A `GPT2LMHeadModel` of any size, trained or not.
        tokenizer: One of ours (`BytePairTokenizer` takes `hf_tokenizer.backend_tokenizer.to_str()`) or None.

    Raises:
        ConfigError: For another architecture or head, and for a variant of GPT-2 that computes something else.
            `workbench.wrap` opens those, without a graph.

    Cost: One forward pass of each network.

    Example:
        >>> from transformers import GPT2Config, GPT2LMHeadModel
        >>> module = GPT2LMHeadModel(GPT2Config(n_layer=2, n_head=2, n_embd=8, vocab_size=11, n_positions=16))
        >>> workbench.from_transformers(module).cfg.n_layers
        2
    """
    check(module)
    config: Any = module.config
    weights = {name: tensor for name, tensor in module.state_dict().items() if not name.endswith(MASKS)}
    cfg = GPTConfig(
        d_vocab=config.vocab_size, n_ctx=config.n_positions, n_layers=config.n_layer, d_model=config.n_embd,
        n_heads=config.n_head, d_mlp=config.n_inner, activation=ACTIVATIONS[config.activation_function],  # type: ignore
        tie_embeddings=torch.equal(weights["lm_head.weight"], weights["transformer.wte.weight"]),
    )  # fmt: skip
    if tokenizer is not None and tokenizer.vocab_size > cfg.d_vocab:
        raise ConfigError(
            f"The tokenizer has {tokenizer.vocab_size} tokens and the network {cfg.d_vocab}. Pass the tokenizer that "
            "it was trained with."
        )
    model = GPT(cfg).to(weights["transformer.wte.weight"].dtype)
    model.load_state_dict(rename_weights(weights, cfg))
    model.tokenizer = tokenizer
    require_same_logits(model.eval(), module)
    return model


def check(module: nn.Module) -> None:
    """Raise `ConfigError` unless the module is a GPT-2 language model that our GPT can compute."""
    name = type(module).__name__
    if KIND not in {base.__name__ for base in type(module).__mro__}:
        head = "a GPT-2 with another head" if name.startswith("GPT2") else "no GPT-2"
        raise ConfigError(
            f"{name} is {head}, and only {KIND} can be translated. Pass that, or open the module with workbench.wrap, "
            "which takes any, without a graph."
        )
    config: Any = module.config
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
    require_plain_weights(module)


def require_plain_weights(module: nn.Module) -> None:
    """Raise `ConfigError` for adapters, quantised, mixed or missing weights."""
    weights = {name: tensor for name, tensor in module.state_dict().items() if not name.endswith(MASKS)}
    known = {*OUTER, *(f"transformer.h.{i}.{name}" for i in range(module.config.n_layer) for name in INNER)}  # type: ignore[operator]
    if changed := sorted(known ^ weights.keys()):
        what = "has no" if changed[0] in known else "has an unknown"
        raise ConfigError(
            f"This GPT-2 {what} weight {changed[0]!r}, so it is not a plain one. Merge adapters and remove additions "
            "first, or open it with workbench.wrap, without a graph."
        )
    dtypes = sorted({str(tensor.dtype).removeprefix("torch.") for tensor in weights.values()})
    if len(dtypes) > 1 or not weights["transformer.wte.weight"].is_floating_point():
        raise ConfigError(f"The weights are of {', '.join(dtypes)}. Convert them to one, such as module.float().")
    if any(tensor.is_meta for tensor in weights.values()):
        raise ConfigError("The weights are on the meta device and hold no values. Load them first.")


def require_same_logits(model: GPT, module: nn.Module) -> None:
    """Raise `ConfigError` unless both networks give the same logits on random tokens."""
    like = next(module.parameters())
    shape = (2, min(LENGTH, model.cfg.n_ctx))
    tokens = torch.randint(model.cfg.d_vocab, shape, generator=generator(0, "from_transformers"))
    with evaluating(module):
        theirs = module(tokens.to(like.device), return_dict=True, use_cache=False).logits.cpu()
    difference = (model(tokens) - theirs).abs().max() / theirs.abs().max()
    if not difference <= CLOSE.get(like.dtype, 0.05):
        raise ConfigError(
            f"The logits of this {type(module).__name__} and of its translation differ by {difference:.1%} of the "
            "largest, so it computes something else than GPT-2. Open it with workbench.wrap, without a graph."
        )


def rename_weights(theirs: Mapping[str, Tensor], cfg: GPTConfig) -> dict[str, Tensor]:
    """Their weights under our names, heads apart."""
    ours = {"embed.W_E": theirs["transformer.wte.weight"], "pos_embed.W_pos": theirs["transformer.wpe.weight"]}
    ours |= {f"ln_final.{x}": theirs[f"transformer.ln_f.{name}"] for x, name in (("w", "weight"), ("b", "bias"))}
    ours["unembed.b_U"] = torch.zeros_like(theirs["transformer.wte.weight"][:, 0])
    if not cfg.tie_embeddings:
        ours["unembed._W_U"] = theirs["lm_head.weight"].T
    for layer in range(cfg.n_layers):
        ours |= rename_block(theirs, f"transformer.h.{layer}", f"blocks.{layer}", cfg.n_heads)
    return {name: tensor.clone() for name, tensor in ours.items()}


def rename_block(theirs: Mapping[str, Tensor], there: str, here: str, n_heads: int) -> dict[str, Tensor]:
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
