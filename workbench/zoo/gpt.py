"""GPT: a decoder-only transformer with pre-norm blocks, laid out and named as in TransformerLens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from workbench.core.errors import ConfigError, InputError
from workbench.core.graph import Graph
from workbench.core.hooked import AxisHookPoint, HookedModel
from workbench.core.random import generator
from workbench.core.registry import MODELS
from workbench.zoo.layers.attention import Attention, KeyValueCache, Visible
from workbench.zoo.layers.completion import Extend, completed
from workbench.zoo.layers.embedding import Embed, PosEmbed, Unembed
from workbench.zoo.layers.mlp import MLP, Activation, Neurons
from workbench.zoo.layers.normalization import Normalization, norm
from workbench.zoo.layers.sampling import Sampling, draw
from workbench.zoo.layers.transformer_graph import DETAILS, residual_graph

Stream = Float[Tensor, "batch pos d_model"]
Mixed = tuple[Stream, Float[Tensor, "batch pos head d_head"]]
Fired = tuple[Stream, Neurons]
Tokens = Int[Tensor, "batch pos"]
Longer = Int[Tensor, "batch total"]
LIKELY = Sampling()
"""The model's own distribution: temperature 1, no token ruled out."""


@dataclass(frozen=True)
class GPTConfig:
    """Sizes (in numbers of entries) and choices; the defaults are a small character model.

    `dropout` acts on what is added to the residual stream; that of attention patterns has no fused kernel. Without
    `causal` every position sees all others. `d_head` None: the heads share d_model evenly.
    """

    d_vocab: int = 65
    n_ctx: int = 256
    n_layers: int = 4
    d_model: int = 128
    n_heads: int = 4
    d_head: int | None = None
    d_mlp: int | None = None
    causal: bool = True
    positions: Literal["learned", "rotary"] = "learned"
    normalization: Normalization = "layer"
    activation: Activation = "gelu"
    attn_only: bool = False
    tie_embeddings: bool = False
    dropout: float = 0.0

    n_key_value_heads: ClassVar[None] = None  # the rest is what TransformerLens's analyses read
    device: ClassVar[None] = None

    def __post_init__(self) -> None:
        if (not self.d_head and self.d_model % self.n_heads) or (self.positions == "rotary" and self.head_width % 2):
            raise ConfigError(
                f"d_model {self.d_model} does not split into {self.n_heads} heads (of even width for rotary "
                "positions). Choose n_heads that divides d_model, or give d_head."
            )

    @property
    def head_width(self) -> int:
        """Width of one head."""
        return self.d_head or self.d_model // self.n_heads

    @property
    def hidden(self) -> int:
        """Neurons of one MLP."""
        return self.d_mlp or 4 * self.d_model

    @property
    def normalization_type(self) -> str:
        """TransformerLens's name of the normalization, empty for none."""
        return {"layer": "LN", "rms": "RMS", "none": ""}[self.normalization]


class Block(nn.Module):
    """Attention, then an MLP, each reading the residual stream through a norm and adding to it."""

    def __init__(self, cfg: GPTConfig) -> None:
        super().__init__()
        self.ln1 = norm(cfg.d_model, cfg.normalization)
        self.attn = Attention(cfg.d_model, cfg.n_heads, cfg.causal, cfg.positions == "rotary", cfg.d_head)
        self.hook_q_input, self.hook_k_input, self.hook_v_input = (
            AxisHookPoint("batch pos head d_model", displaces=True) for _ in range(3)
        )
        self.hook_attn_in = AxisHookPoint("batch pos d_model", on_request=True)
        self.hook_resid_pre, self.hook_attn_out = (AxisHookPoint("batch pos d_model") for _ in range(2))
        self.dropout = nn.Dropout(cfg.dropout)
        self.n_heads = cfg.n_heads
        if not cfg.attn_only:
            self.ln2 = norm(cfg.d_model, cfg.normalization)
            self.mlp = MLP(cfg.d_model, cfg.hidden, cfg.activation)
            self.hook_mlp_in = AxisHookPoint("batch pos d_model", on_request=True)
            self.hook_resid_mid, self.hook_mlp_out = (AxisHookPoint("batch pos d_model") for _ in range(2))
        self.hook_resid_post = AxisHookPoint("batch pos d_model")

    def mix(self, resid: Stream, past: KeyValueCache | None = None, visible: Visible | None = None) -> Mixed:
        """The stream, and what each head read from other positions; a sweep over heads starts after it."""
        resid = self.hook_resid_pre(resid)
        branch = self.hook_attn_in(resid)
        ports = (self.hook_q_input, self.hook_k_input, self.hook_v_input)
        return resid, self.attn.mix(*self.read(branch, self.ln1, ports), past=past, visible=visible)

    def write(self, state: Mixed) -> Stream:
        """The stream with what attention adds."""
        resid, z = state
        out = self.hook_attn_out(self.attn.write(z))
        total = resid + self.dropout(out)
        return self.hook_resid_mid(total) if hasattr(self, "mlp") else self.hook_resid_post(total)

    def fire(self, resid: Stream) -> Fired:
        """The stream, and what the MLP's neurons make of it; a sweep over neurons starts after it."""
        return resid, self.mlp.fire(self.ln2(self.hook_mlp_in(resid)))

    def feed(self, state: Fired) -> Stream:
        """The stream with what the MLP adds."""
        resid, post = state
        return self.hook_resid_post(resid + self.dropout(self.hook_mlp_out(self.mlp.write(post))))

    def parts(self) -> list[Any]:
        """The stages of this block."""
        return [self.mix, self.write, *([self.fire, self.feed] if hasattr(self, "mlp") else [])]

    def read(self, resid: Stream, norm: Any, ports: Sequence[Any]) -> list[Any]:
        """The stream through a norm, for each port; where anybody listens, once for each head."""
        shared = None if all(port.wanted for port in ports) else norm(resid)
        return [norm.apply_to(port(self.copies(resid))) if port.wanted else shared for port in ports]

    def copies(self, resid: Stream) -> Float[Tensor, "batch pos head d_model"]:
        """The stream once for each head, so that each can read its own."""
        return resid[:, :, None].expand(-1, -1, self.n_heads, -1)


@MODELS.register("gpt")
class GPT(HookedModel):
    """Next-token logits (batch, pos, vocab) from tokens (batch, pos)."""

    family = "gpt"
    input_axes = "batch pos"
    details = DETAILS
    blocks: Any

    def __init__(self, cfg: GPTConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.embed = Embed(cfg.d_vocab, cfg.d_model)
        self.hook_embed = AxisHookPoint("batch pos d_model")
        if cfg.positions == "learned":
            self.pos_embed = PosEmbed(cfg.n_ctx, cfg.d_model)
            self.hook_pos_embed = AxisHookPoint("batch pos d_model")
        self.dropout = nn.Dropout(cfg.dropout)
        self.blocks = nn.ModuleList(Block(cfg) for _ in range(cfg.n_layers))
        self.ln_final = norm(cfg.d_model, cfg.normalization)
        self.unembed = Unembed(self.embed, cfg.tie_embeddings)
        self.hook_logits = AxisHookPoint("batch pos vocab")
        self.reset_parameters()
        blocks: Any = self.blocks
        self.setup(stages=[self.embedded, *(part for block in blocks for part in block.parts()), self.read_out])

    def reset_parameters(self) -> None:
        """GPT-2's initialisation: normal, 0.02, with maps into the stream divided by the root of their number."""
        depth = 1 if self.cfg.attn_only else 2
        for name, p in self.named_parameters():
            if p.ndim > 1 and not name.rpartition(".")[2].startswith("b_"):
                into_stream = name.endswith(("W_O", "W_out"))
                nn.init.normal_(p, std=0.02 / (depth * self.cfg.n_layers) ** 0.5 if into_stream else 0.02)

    def embedded(self, tokens: Tokens, start: int = 0) -> Stream:
        """The residual stream before the first block."""
        self.check_tokens(tokens, start)
        resid = self.hook_embed(self.embed(tokens))
        if self.cfg.positions == "learned":
            resid = resid + self.hook_pos_embed(self.pos_embed(tokens, start))
        return self.dropout(resid)

    def check_tokens(self, tokens: Tokens, start: int) -> None:
        """Raises on an empty or over-long prompt and on a token outside the vocabulary."""
        n_new, n_ctx, d_vocab = tokens.shape[1], self.cfg.n_ctx, self.cfg.d_vocab
        if not n_new:
            raise InputError("The prompt is empty. Give at least one token.")
        if start + n_new > n_ctx:
            raise InputError(f"The prompt has {start + n_new} tokens; this model reads at most {n_ctx}. Shorten it.")
        low, high = tokens.aminmax()
        if low < 0 or high >= d_vocab:
            bad = int(low if low < 0 else high)
            raise InputError(f"Token {bad} is outside the vocabulary of {d_vocab} (0 to {d_vocab - 1}).")

    def read_out(self, resid: Stream) -> Float[Tensor, "batch pos vocab"]:
        """Logits from the final residual stream."""
        return self.hook_logits(self.unembed(self.ln_final(resid)))

    def example(self, batch: int = 2, seed: int = 0) -> Tokens:
        length = min(self.cfg.n_ctx, 8)
        return torch.randint(self.cfg.d_vocab, (batch, length), generator=generator(seed, "example"))

    def graph(self, detail: str = "head") -> Graph:
        return residual_graph(self, detail)

    @torch.no_grad()
    def generate(self, tokens: Tokens, n_new: int, sampling: Sampling = LIKELY, seed: int = 0) -> Longer:
        """The prompt and `n_new` sampled tokens; keys and values are kept, so each new one costs one position."""
        if not self.cfg.causal:
            raise InputError("This GPT is not causal: a new token would change what earlier ones see. Use forward().")
        random, extend = generator(seed, "sampling"), self.extending()
        new = tokens
        for _ in range(n_new):
            new = draw(extend(new)[:, -1], sampling, random)[:, None].to(tokens.device)
            tokens = torch.cat([tokens, new], dim=1)
        return tokens

    @torch.no_grad()
    def complete(
        self,
        prompts: Sequence[Int[Tensor, " _"]],
        n_new: int,
        end: int,
        random: torch.Generator,
        sampling: Sampling = LIKELY,
        extend: Extend | None = None,
    ) -> Longer:
        """Prompts of any lengths with sampled completions (`layers.completion`); `extend` may replace the network."""
        return completed(extend or self.extending(), prompts, n_new, end, sampling, random)

    def extending(self) -> Extend:
        """A function from tokens to their logits that remembers all it was given."""
        return partial(self.extend, caches=[KeyValueCache() for _ in self.blocks])

    def extend(self, tokens: Tokens, caches: list[KeyValueCache]) -> Float[Tensor, "batch pos vocab"]:
        """Logits of new tokens that follow those in `caches`, which grow."""
        with self.lock:
            resid = self.embedded(tokens, caches[0].length)
            for block, past in zip(self.blocks, caches, strict=True):
                resid = block.write(block.mix(resid, past))
                resid = resid if self.cfg.attn_only else block.feed(block.fire(resid))
            return self.read_out(resid)

    # What TransformerLens's ActivationCache and patching read of a model

    @property
    def W_E(self) -> Float[Tensor, "vocab d_model"]:
        """The embedding."""
        return self.embed.W_E

    @property
    def W_U(self) -> Float[Tensor, "d_model vocab"]:
        """The read-out directions."""
        return self.unembed.W_U

    @property
    def b_U(self) -> Float[Tensor, " vocab"]:
        """The read-out's bias."""
        return self.unembed.b_U

    def to_tokens(self, text: str) -> Tokens:
        """Tokens (1, pos) of a text, by the tokenizer that came with the checkpoint."""
        return self.tokenizer_or_raise().encode(text)[None]

    def to_single_token(self, text: str) -> int:
        """The one token that `text` is."""
        tokens = self.to_tokens(text)[0]
        if len(tokens) != 1:
            raise InputError(f"{text!r} is {len(tokens)} tokens, not one. Give a text that is a single token.")
        return int(tokens[0])

    def tokenizer_or_raise(self) -> Any:
        """The tokenizer that `load` put beside the weights."""
        if self.tokenizer is None:
            raise InputError("This GPT has no tokenizer. Set model.tokenizer, or pass tokens instead of text.")
        return self.tokenizer

    def tokens_to_residual_directions(self, tokens: int | Int[Tensor, "*any"]) -> Float[Tensor, "*any d_model"]:
        """Read-out direction of each token."""
        return self.W_U.T[tokens]

    def accumulated_bias(self, layer: int, mlp_input: bool = False, include_mlp_biases: bool = True) -> Tensor:
        """Sum of the output biases before a layer (d_model,)."""
        total = torch.zeros_like(self.W_U[:, 0])
        for i, block in enumerate(self.blocks[: layer + mlp_input]):
            total = total + block.attn.b_O
            if include_mlp_biases and not self.cfg.attn_only and i < layer:
                total = total + block.mlp.b_out
        return total

    def set_use_attn_in(self, use: bool) -> None:
        """Nothing to switch: ports exist when they are asked for."""

    set_use_split_qkv_input = set_use_attn_in
