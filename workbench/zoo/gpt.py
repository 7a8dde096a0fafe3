"""GPT: decoder-only transformer with pre-norm blocks, with the layout and hook names of TransformerLens."""

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
from workbench.core.ranges import PositiveInt, ShareBelowOne, check_fields
from workbench.core.registry import MODELS
from workbench.zoo.layers.attention import Attention, KeyValueCache, Visible
from workbench.zoo.layers.completion import Extend, complete_prompts
from workbench.zoo.layers.embedding import Embed, PosEmbed, Unembed
from workbench.zoo.layers.mlp import MLP, Activation, Neurons
from workbench.zoo.layers.normalization import Normalization, make_norm
from workbench.zoo.layers.sampling import SamplingConfig, draw
from workbench.zoo.layers.transformer_graph import DETAILS, residual_graph

Stream = Float[Tensor, "batch pos d_model"]
AttentionState = tuple[Stream, Float[Tensor, "batch pos head d_head"]]
MLPState = tuple[Stream, Neurons]
Tokens = Int[Tensor, "batch pos"]
Longer = Int[Tensor, "batch total"]
LIKELY = SamplingConfig()
"""Sampling from the model's own distribution: temperature 1, no top-k or top-p."""


@dataclass(frozen=True)
class GPTConfig:
    """Sizes and options of a GPT. The defaults are a small character model."""

    d_vocab: PositiveInt = 65
    """Size of the vocabulary."""
    n_ctx: PositiveInt = 256
    """Maximum length of a sequence in tokens."""
    n_layers: PositiveInt = 4
    d_model: PositiveInt = 128
    n_heads: PositiveInt = 4
    d_head: PositiveInt | None = None
    """Width of a head; None for d_model / n_heads."""
    d_mlp: PositiveInt | None = None
    """Neurons of an MLP; None for 4 * d_model."""
    causal: bool = True
    """If false, every position attends to all others."""
    positions: Literal["learned", "rotary"] = "learned"
    normalization: Normalization = "layer"
    activation: Activation = "gelu"
    attn_only: bool = False
    tie_embeddings: bool = False
    dropout: ShareBelowOne = 0.0
    """Probability, applied to what is added to the residual stream. Attention patterns have no dropout."""

    n_key_value_heads: ClassVar[None] = None  # read by TransformerLens's analyses, as the properties below
    device: ClassVar[None] = None

    def __post_init__(self) -> None:
        check_fields(self)
        if (not self.d_head and self.d_model % self.n_heads) or (self.positions == "rotary" and self.head_width % 2):
            raise ConfigError(
                f"d_model {self.d_model} cannot be split into {self.n_heads} heads (of even width for rotary "
                "positions). Choose an n_heads that divides d_model, or give d_head."
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
        """TransformerLens's name of the normalization; empty for none."""
        return {"layer": "LN", "rms": "RMS", "none": ""}[self.normalization]


class Block(nn.Module):
    """Pre-norm attention and MLP, each added to the residual stream."""

    def __init__(self, cfg: GPTConfig) -> None:
        super().__init__()
        self.ln1 = make_norm(cfg.d_model, cfg.normalization)
        self.attn = Attention(cfg.d_model, cfg.n_heads, cfg.causal, cfg.positions == "rotary", cfg.d_head)
        self.hook_q_input, self.hook_k_input, self.hook_v_input = (
            AxisHookPoint("batch pos head d_model", displaces=True) for _ in range(3)
        )
        self.hook_attn_in = AxisHookPoint("batch pos d_model", on_request=True)
        self.hook_resid_pre, self.hook_attn_out = (AxisHookPoint("batch pos d_model") for _ in range(2))
        self.dropout = nn.Dropout(cfg.dropout)
        self.n_heads = cfg.n_heads
        if not cfg.attn_only:
            self.ln2 = make_norm(cfg.d_model, cfg.normalization)
            self.mlp = MLP(cfg.d_model, cfg.hidden, cfg.activation)
            self.hook_mlp_in = AxisHookPoint("batch pos d_model", on_request=True)
            self.hook_resid_mid, self.hook_mlp_out = (AxisHookPoint("batch pos d_model") for _ in range(2))
        self.hook_resid_post = AxisHookPoint("batch pos d_model")

    def attend(
        self, resid: Stream, past: KeyValueCache | None = None, visible: Visible | None = None
    ) -> AttentionState:
        """Return the stream and the heads' outputs z.

        A separate stage, so that sweeps over heads start after the attention patterns.
        """
        resid = self.hook_resid_pre(resid)
        branch = self.hook_attn_in(resid)
        ports = (self.hook_q_input, self.hook_k_input, self.hook_v_input)
        return resid, self.attn.compute_z(*self.read(branch, self.ln1, ports), past=past, visible=visible)

    def add_attention(self, state: AttentionState) -> Stream:
        """Add the attention output to the stream."""
        resid, z = state
        out = self.hook_attn_out(self.attn.project_out(z))
        total = resid + self.dropout(out)
        return self.hook_resid_mid(total) if hasattr(self, "mlp") else self.hook_resid_post(total)

    def activate(self, resid: Stream) -> MLPState:
        """Return the stream and the activations of the MLP's neurons.

        A separate stage, so that sweeps over neurons start after them.
        """
        return resid, self.mlp.compute_post(self.ln2(self.hook_mlp_in(resid)))

    def add_mlp(self, state: MLPState) -> Stream:
        """Add the MLP's output to the stream."""
        resid, post = state
        return self.hook_resid_post(resid + self.dropout(self.hook_mlp_out(self.mlp.project_out(post))))

    def parts(self) -> list[Any]:
        """Return the stages of this block."""
        return [self.attend, self.add_attention, *([self.activate, self.add_mlp] if hasattr(self, "mlp") else [])]

    def read(self, resid: Stream, norm: Any, ports: Sequence[Any]) -> list[Any]:
        """Normalize the stream once for each port.

        A port whose hook is in use gets a copy of the stream per head before the norm; the others share one result.
        """
        shared = None if all(port.is_observed for port in ports) else norm(resid)
        return [norm.apply_to(port(self.copy_per_head(resid))) if port.is_observed else shared for port in ports]

    def copy_per_head(self, resid: Stream) -> Float[Tensor, "batch pos head d_model"]:
        """Return the stream repeated for each head, without copying memory."""
        return resid[:, :, None].expand(-1, -1, self.n_heads, -1)


@MODELS.register("gpt")
class GPT(HookedModel):
    """Next-token logits (batch, pos, vocab) from tokens (batch, pos).

    Example:
        >>> gpt = workbench.load("shakespeare_gpt")
        >>> gpt(gpt.to_tokens("ROMEO:")).shape
        torch.Size([1, 6, 65])
    """

    family = "gpt"
    broadcasts_rows = True
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
        self.ln_final = make_norm(cfg.d_model, cfg.normalization)
        self.unembed = Unembed(self.embed, cfg.tie_embeddings)
        self.hook_logits = AxisHookPoint("batch pos vocab")
        self.reset_parameters()
        blocks: Any = self.blocks
        self.setup(stages=[self.embed_tokens, *(part for block in blocks for part in block.parts()), self.read_out])

    def reset_parameters(self) -> None:
        """Initialise as GPT-2 (normal, 0.02); maps into the stream are divided by the square root of their number."""
        depth = 1 if self.cfg.attn_only else 2
        for name, p in self.named_parameters():
            if p.ndim > 1 and not name.rpartition(".")[2].startswith("b_"):
                into_stream = name.endswith(("W_O", "W_out"))
                nn.init.normal_(p, std=0.02 / (depth * self.cfg.n_layers) ** 0.5 if into_stream else 0.02)

    def embed_tokens(self, tokens: Tokens, start: int = 0) -> Stream:
        """Compute the residual stream before the first block. `start` is the position of the first token."""
        self.check_tokens(tokens, start)
        resid = self.hook_embed(self.embed(tokens))
        if self.cfg.positions == "learned":
            resid = resid + self.hook_pos_embed(self.pos_embed(tokens, start))
        return self.dropout(resid)

    def check_tokens(self, tokens: Tokens, start: int) -> None:
        """Raise an `InputError` for an empty or overlong prompt and for tokens outside the vocabulary."""
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
        """Compute logits from the final residual stream."""
        return self.hook_logits(self.unembed(self.ln_final(resid)))

    def example(self, batch: int = 2, seed: int = 0) -> Tokens:
        length = min(self.cfg.n_ctx, 8)
        return torch.randint(self.cfg.d_vocab, (batch, length), generator=generator(seed, "example"))

    def graph(self, detail: str = "head") -> Graph:
        return residual_graph(self, detail)

    @torch.no_grad()
    def generate(self, tokens: Tokens, n_new: int, sampling: SamplingConfig = LIKELY, seed: int = 0) -> Longer:
        """Sample a continuation of each prompt.

        Keys and values are cached, so each new token costs a pass over one position.

        Args:
            tokens: Prompts of equal length.
            n_new: Number of tokens to sample per prompt.
            sampling: Temperature, top-k and top-p.
            seed: Seeds the samples.

        Returns:
            The prompts, extended by `n_new` tokens.

        Raises:
            InputError: If the model is not causal, or the result would be longer than `n_ctx`.
        """
        if not self.cfg.causal:
            raise InputError("This GPT is not causal, so tokens cannot be generated one by one. Use forward().")
        random, extend = generator(seed, "sampling"), self.start_decoding()
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
        sampling: SamplingConfig = LIKELY,
        extend: Extend | None = None,
    ) -> Longer:
        """Sample completions of prompts of different lengths.

        Args:
            prompts: Token ids of each prompt.
            n_new: Number of tokens to sample after the longest prompt.
            end: Token that ends a completion.
            random: Generator of the samples.
            sampling: Temperature, top-k and top-p.
            extend: Computes the logits of new tokens in place of this model.

        Returns:
            Prompts and completions, filled with `end` (see `layers.completion`).
        """
        return complete_prompts(extend or self.start_decoding(), prompts, n_new, end, sampling, random)

    def start_decoding(self) -> Extend:
        """Return a function that computes the logits of new tokens after all those it was called with before."""
        return partial(self.extend, caches=[KeyValueCache() for _ in self.blocks])

    def extend(self, tokens: Tokens, caches: list[KeyValueCache]) -> Float[Tensor, "batch pos vocab"]:
        """Compute the logits of tokens that follow those in `caches`, and append their keys and values."""
        with self.lock:
            resid = self.embed_tokens(tokens, caches[0].length)
            for block, past in zip(self.blocks, caches, strict=True):
                resid = block.add_attention(block.attend(resid, past))
                resid = resid if self.cfg.attn_only else block.add_mlp(block.activate(resid))
            return self.read_out(resid)

    # Attributes read by TransformerLens's ActivationCache and patching

    @property
    def W_E(self) -> Float[Tensor, "vocab d_model"]:
        """Embedding matrix."""
        return self.embed.W_E

    @property
    def W_U(self) -> Float[Tensor, "d_model vocab"]:
        """Unembedding matrix."""
        return self.unembed.W_U

    @property
    def b_U(self) -> Float[Tensor, " vocab"]:
        """Unembedding bias."""
        return self.unembed.b_U

    def to_tokens(self, text: str) -> Tokens:
        """Encode a text with the model's tokenizer; returns token ids of shape (1, pos)."""
        return self.tokenizer_or_raise().encode(text)[None]

    def to_single_token(self, text: str) -> int:
        """Return the id of a text that is exactly one token."""
        tokens = self.to_tokens(text)[0]
        if len(tokens) != 1:
            raise InputError(f"{text!r} is {len(tokens)} tokens. Give a text that is a single token.")
        return int(tokens[0])

    def tokenizer_or_raise(self) -> Any:
        """Return the tokenizer stored beside the weights."""
        if self.tokenizer is None:
            raise InputError("This GPT has no tokenizer. Set model.tokenizer, or pass tokens instead of text.")
        return self.tokenizer

    def tokens_to_residual_directions(self, tokens: int | Int[Tensor, "*any"]) -> Float[Tensor, "*any d_model"]:
        """Return the unembedding column of each token."""
        return self.W_U.T[tokens]

    def accumulated_bias(self, layer: int, mlp_input: bool = False, include_mlp_biases: bool = True) -> Tensor:
        """Sum the output biases of the layers before `layer`; returns shape (d_model,)."""
        total = torch.zeros_like(self.W_U[:, 0])
        for i, block in enumerate(self.blocks[: layer + mlp_input]):
            total = total + block.attn.b_O
            if include_mlp_biases and not self.cfg.attn_only and i < layer:
                total = total + block.mlp.b_out
        return total

    def set_use_attn_in(self, use: bool) -> None:
        """Do nothing: per-head inputs are always available here."""

    set_use_split_qkv_input = set_use_attn_in
