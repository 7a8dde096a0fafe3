"""Encoder-decoder transformer (Vaswani et al. 2017) with pre-norm blocks, for sequence-to-sequence tasks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from workbench.core.errors import ConfigError, InputError
from workbench.core.graph import Graph
from workbench.core.hooked import AxisHookPoint, HookedModel
from workbench.core.random import generator
from workbench.core.ranges import NonNegativeInt, PositiveInt, ShareBelowOne, check_fields
from workbench.core.registry import MODELS
from workbench.core.source_target import SourceTarget
from workbench.zoo.gpt import LIKELY, Block, GPTConfig
from workbench.zoo.layers.attention import Attention, KeyValueCache, Visible
from workbench.zoo.layers.embedding import Embed, PosEmbed, Unembed
from workbench.zoo.layers.mlp import Activation
from workbench.zoo.layers.normalization import Normalization, make_norm
from workbench.zoo.layers.sampling import SamplingConfig, draw
from workbench.zoo.layers.transformer_graph import DETAILS, encoder_decoder_graph

Tokens = Int[Tensor, "batch pos"]
Stream = Float[Tensor, "batch pos d_model"]
SourceStream = Float[Tensor, "batch source_pos d_model"]
AttentionState = tuple[Stream, Float[Tensor, "batch pos head d_head"]]


class Streams(NamedTuple):
    """State of the stages: both residual streams, and a mask of the source positions that are not padding.

    Inside an attention layer, a stream is paired with the heads' outputs z.
    """

    source: Any
    target: Any
    visible: Visible | None


@dataclass(frozen=True)
class EncoderDecoderConfig:
    """Sizes and options of an encoder-decoder, named as in `GPTConfig`. Both sequences share one vocabulary."""

    d_vocab: PositiveInt = 32
    n_ctx: PositiveInt = 32
    """Maximum length of each sequence in tokens."""
    encoder_layers: PositiveInt = 2
    decoder_layers: PositiveInt = 2
    d_model: PositiveInt = 64
    n_heads: PositiveInt = 4
    d_head: PositiveInt | None = None
    d_mlp: PositiveInt | None = None
    positions: Literal["learned", "rotary"] = "learned"
    normalization: Normalization = "layer"
    activation: Activation = "gelu"
    tie_embeddings: bool = False
    dropout: ShareBelowOne = 0.0
    start: NonNegativeInt = 0
    """Token that every target begins with."""
    pad: NonNegativeInt | None = None
    """Padding token, which attention to the source ignores. Targets are padded at the end, where causality masks it."""

    def __post_init__(self) -> None:
        check_fields(self)
        for name, token in (("start", self.start), ("pad", self.pad)):
            if token is not None and token >= self.d_vocab:
                raise ConfigError(
                    f"{name} {token} is outside the vocabulary of {self.d_vocab} (0 to {self.d_vocab - 1})."
                )
        self.stack(self.encoder_layers, causal=False)

    def stack(self, n_layers: int, causal: bool) -> GPTConfig:
        """Return the config of the encoder's or the decoder's blocks."""
        return GPTConfig(
            self.d_vocab, self.n_ctx, n_layers, self.d_model, self.n_heads, self.d_head, self.d_mlp, causal,
            self.positions, self.normalization, self.activation, dropout=self.dropout,
        )  # fmt: skip


@dataclass(frozen=True)
class Part:
    """Stage that runs one part of a block on the stream of its side."""

    side: Literal["source", "target"]
    run: Callable[..., Any]
    reads: tuple[str, ...] = ()
    """Fields of the state that `run` takes as further arguments."""

    def __call__(self, state: Streams) -> Streams:
        others = [getattr(state, name) for name in self.reads]
        return state._replace(**{self.side: self.run(getattr(state, self.side), *others)})


class EncoderBlock(Block):
    """Attention to all source positions that are not padding, then an MLP."""

    def attend_to_visible(self, resid: Stream, visible: Visible | None) -> AttentionState:
        """Return the stream and the heads' outputs z, with padding masked."""
        return self.attend(resid, visible=visible)

    def parts(self) -> list[Part]:
        """Return the stages of this block."""
        runs = (self.add_attention, self.activate, self.add_mlp)
        return [Part("source", self.attend_to_visible, ("visible",)), *(Part("source", run) for run in runs)]


class DecoderBlock(Block):
    """Causal attention, cross-attention to the encoder's final stream, then an MLP."""

    def __init__(self, cfg: GPTConfig) -> None:
        super().__init__(cfg)
        self.ln_cross, self.ln_source = (make_norm(cfg.d_model, cfg.normalization) for _ in range(2))
        self.cross_attn = Attention(cfg.d_model, cfg.n_heads, causal=False, d_head=cfg.d_head)
        self.hook_cross_q_input, self.hook_cross_k_input, self.hook_cross_v_input = (
            AxisHookPoint("batch pos head d_model", displaces=True) for _ in range(3)
        )
        self.hook_cross_attn_in, self.hook_cross_source_in = (
            AxisHookPoint("batch pos d_model", on_request=True) for _ in range(2)
        )
        self.hook_cross_attn_out, self.hook_resid_mid_cross = (AxisHookPoint("batch pos d_model") for _ in range(2))

    def attend_to_source(
        self, resid: Stream, source: SourceStream, visible: Bool[Tensor, "batch source_pos"] | None
    ) -> AttentionState:
        """Return the stream and the outputs z of the cross-attention heads."""
        queries = self.read(self.hook_cross_attn_in(resid), self.ln_cross, [self.hook_cross_q_input])
        ports = [self.hook_cross_k_input, self.hook_cross_v_input]
        sources = self.read(self.hook_cross_source_in(source), self.ln_source, ports)
        return resid, self.cross_attn.compute_z(*queries, *sources, visible=visible)

    def add_cross_attention(self, state: AttentionState) -> Stream:
        """Add the output of cross-attention to the stream."""
        resid, z = state
        return self.hook_resid_mid_cross(resid + self.dropout(self.hook_cross_attn_out(self.cross_attn.project_out(z))))

    def parts(self) -> list[Part]:
        """Return the stages of this block."""
        runs = (
            self.attend,
            self.add_attention,
            self.attend_to_source,
            self.add_cross_attention,
            self.activate,
            self.add_mlp,
        )
        return [Part("target", run, ("source", "visible") if run == self.attend_to_source else ()) for run in runs]


class Stack(nn.Module):
    """Embeddings and blocks of the encoder or the decoder."""

    def __init__(self, cfg: GPTConfig, block: type[Block]) -> None:
        super().__init__()
        self.embed = Embed(cfg.d_vocab, cfg.d_model)
        self.hook_embed = AxisHookPoint("batch pos d_model")
        self.learned = cfg.positions == "learned"
        if self.learned:
            self.pos_embed = PosEmbed(cfg.n_ctx, cfg.d_model)
            self.hook_pos_embed = AxisHookPoint("batch pos d_model")
        self.dropout = nn.Dropout(cfg.dropout)
        self.blocks: Any = nn.ModuleList(block(cfg) for _ in range(cfg.n_layers))

    def embed_tokens(self, tokens: Tokens, start: int = 0) -> Stream:
        """Compute the residual stream before the first block. `start` is the position of the first token."""
        resid = self.hook_embed(self.embed(tokens))
        return self.dropout(resid + self.hook_pos_embed(self.pos_embed(tokens, start)) if self.learned else resid)


@MODELS.register("encoder_decoder")
class EncoderDecoder(HookedModel):
    """Next-token logits (batch, pos, vocab) at every position of the target, from a `SourceTarget`.

    Example:
        >>> model = workbench.load("dates_encoder_decoder")
        >>> model(model.example(batch=3)).shape
        torch.Size([3, 5, 46])
    """

    family = "encoder_decoder"
    input_axes = "batch source_pos target_pos"
    details = DETAILS

    def __init__(self, cfg: EncoderDecoderConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.encoder = Stack(cfg.stack(cfg.encoder_layers, causal=False), EncoderBlock)
        self.decoder = Stack(cfg.stack(cfg.decoder_layers, causal=True), DecoderBlock)
        self.ln_final = make_norm(cfg.d_model, cfg.normalization)
        self.unembed = Unembed(self.decoder.embed, cfg.tie_embeddings)
        self.hook_logits = AxisHookPoint("batch pos vocab")
        self.reset_parameters()
        self.encoding: list[Any] = [self.embed_tokens, *(part for b in self.encoder.blocks for part in b.parts())]
        decoding = [part for b in self.decoder.blocks for part in b.parts()]
        self.setup(stages=[*self.encoding, *decoding, self.read_out])

    def reset_parameters(self) -> None:
        """Initialise as GPT-2 (normal, 0.02); maps into a stream are divided by the square root of their number."""
        writers = {"encoder": 2 * self.cfg.encoder_layers, "decoder": 3 * self.cfg.decoder_layers}
        for name, p in self.named_parameters():
            if p.ndim > 1 and not name.rpartition(".")[2].startswith("b_"):
                into_stream = name.endswith(("W_O", "W_out"))
                nn.init.normal_(p, std=0.02 / writers[name.partition(".")[0]] ** 0.5 if into_stream else 0.02)

    def embed_tokens(self, inputs: Any) -> Streams:
        """Compute both residual streams before the first block, and the padding mask."""
        source, target = self.check_inputs(inputs)
        visible = None if self.cfg.pad is None else source != self.cfg.pad
        if visible is not None and not visible.any(dim=1).all():
            raise InputError("A source contains only padding. Give at least one other token.")
        return Streams(self.encoder.embed_tokens(source), self.decoder.embed_tokens(target), visible)

    def check_inputs(self, inputs: Any) -> SourceTarget:
        """Raise an `InputError` unless `inputs` are two non-empty sequences of valid tokens of at most `n_ctx`."""
        if not isinstance(inputs, tuple) or len(inputs) != 2:
            raise InputError("Expected two sequences of tokens. Pass SourceTarget(source, target).")
        for name, tokens in zip(SourceTarget._fields, inputs, strict=True):
            self.check_length(name, tokens.shape[1])
            low, high = tokens.aminmax()
            if low < 0 or high >= self.cfg.d_vocab:
                bad = int(low if low < 0 else high)
                raise InputError(f"Token {bad} of the {name} is outside the vocabulary (0 to {self.cfg.d_vocab - 1}).")
        return SourceTarget(*inputs)

    def check_length(self, name: str, length: int) -> None:
        """Raise an `InputError` if a sequence is empty or longer than `n_ctx`."""
        if not length:
            raise InputError(f"The {name} is empty. Give at least one token.")
        if length > self.cfg.n_ctx:
            raise InputError(f"The {name} has {length} tokens; this model reads at most {self.cfg.n_ctx}. Shorten it.")

    def read_out(self, state: Streams) -> Float[Tensor, "batch pos vocab"]:
        """Compute logits from the decoder's final stream."""
        return self.logits(state.target)

    def logits(self, resid: Stream) -> Float[Tensor, "batch pos vocab"]:
        """Compute logits from a residual stream."""
        return self.hook_logits(self.unembed(self.ln_final(resid)))

    def example(self, batch: int = 2, seed: int = 0) -> SourceTarget:
        tokens = torch.tensor([token for token in range(self.cfg.d_vocab) if token != self.cfg.pad])
        draws = generator(seed, "example")
        lengths = min(self.cfg.n_ctx, 7), min(self.cfg.n_ctx, 5)
        return SourceTarget(*(tokens[torch.randint(len(tokens), (batch, n), generator=draws)] for n in lengths))

    def graph(self, detail: str = "head") -> Graph:
        return encoder_decoder_graph(self, detail)

    @torch.no_grad()
    def generate(
        self, inputs: SourceTarget, n_new: int, sampling: SamplingConfig = LIKELY, seed: int = 0
    ) -> Int[Tensor, "batch total"]:
        """Sample a continuation of the target.

        The source is encoded once and keys and values are cached, so each new token costs a pass over one position.

        Args:
            inputs: Sources and the first tokens of their targets.
            n_new: Number of tokens to sample per target.
            sampling: Temperature, top-k and top-p.
            seed: Seeds the samples.

        Returns:
            The targets, extended by `n_new` tokens.
        """
        self.check_length("target", inputs.target.shape[1] + n_new)
        random = generator(seed, "sampling")
        caches = [KeyValueCache() for _ in self.decoder.blocks]
        with self.lock:
            state = self.run_stages(inputs, 0, len(self.encoding))
            new = target = inputs.target
            for _ in range(n_new):
                new = draw(self.extend(new, state, caches)[:, -1], sampling, random)[:, None].to(target.device)
                target = torch.cat([target, new], dim=1)
        return target

    def extend(self, tokens: Tokens, state: Streams, caches: list[KeyValueCache]) -> Float[Tensor, "batch pos vocab"]:
        """Compute the logits of tokens that follow those in `caches`, and append their keys and values."""
        resid = self.decoder.embed_tokens(tokens, caches[0].length)
        for block, past in zip(self.decoder.blocks, caches, strict=True):
            resid = block.add_attention(block.attend(resid, past))
            resid = block.add_cross_attention(block.attend_to_source(resid, state.source, state.visible))
            resid = block.add_mlp(block.activate(resid))
        return self.logits(resid)

    def tokenizer_or_raise(self) -> Any:
        """Return the tokenizer stored beside the weights."""
        if self.tokenizer is None:
            raise InputError("This model has no tokenizer. Set model.tokenizer, or pass tokens instead of text.")
        return self.tokenizer
