"""Tests of encoder-decoders against torch's transformer, with padding and cached generation."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from einops import rearrange
from torch import Tensor, nn
from torch.testing import assert_close

from tests.zoo.small import example, small
from workbench.core.errors import ConfigError, InputError
from workbench.core.interventions import zero
from workbench.core.source_target import SourceTarget
from workbench.zoo.encoder_decoder import EncoderDecoder, EncoderDecoderConfig
from workbench.zoo.layers.attention import Attention, KeyValueCache
from workbench.zoo.layers.sampling import SamplingConfig

NETWORKS = ["encoder_decoder", "encoder_decoder bare"]


def copy_attention(theirs: nn.MultiheadAttention, ours: Attention) -> None:
    weights = [rearrange(w, "head m d -> (head d) m") for w in (ours.W_Q, ours.W_K, ours.W_V)]
    theirs.in_proj_weight.copy_(torch.cat(weights))
    theirs.in_proj_bias.copy_(torch.cat([b.flatten() for b in (ours.b_Q, ours.b_K, ours.b_V)]))
    theirs.out_proj.weight.copy_(rearrange(ours.W_O, "head d m -> m (head d)"))
    theirs.out_proj.bias.copy_(ours.b_O)


def copy_norm(theirs: Any, ours: Any) -> None:
    theirs.weight.copy_(ours.w)
    theirs.bias.copy_(ours.b)


def copy_block(theirs: Any, ours: Any) -> None:
    copy_attention(theirs.self_attn, ours.attn)
    norms = [ours.ln1, ours.ln_cross, ours.ln2] if hasattr(ours, "cross_attn") else [ours.ln1, ours.ln2]
    for i, norm in enumerate(norms):
        copy_norm(getattr(theirs, f"norm{i + 1}"), norm)
    if hasattr(ours, "cross_attn"):
        copy_attention(theirs.multihead_attn, ours.cross_attn)
    for linear, weight, bias in ((theirs.linear1, "W_in", "b_in"), (theirs.linear2, "W_out", "b_out")):
        linear.weight.copy_(getattr(ours.mlp, weight).T)
        linear.bias.copy_(getattr(ours.mlp, bias))


@torch.no_grad()
def torchs(ours: EncoderDecoder) -> nn.Transformer:
    """torch's transformer with the same weights; it norms the encoder's stream once, so here all readers do alike."""
    cfg, blocks = ours.cfg, ours.decoder.blocks
    theirs = nn.Transformer(
        cfg.d_model, cfg.n_heads, cfg.encoder_layers, cfg.decoder_layers, 4 * cfg.d_model, 0.0, nn.functional.gelu,
        batch_first=True, norm_first=True, dtype=torch.float64,
    ).eval()  # fmt: skip
    for block in blocks:
        block.ln_source.load_state_dict(blocks[0].ln_source.state_dict())
    for side in ("encoder", "decoder"):
        for layer, block in zip(getattr(theirs, side).layers, getattr(ours, side).blocks, strict=True):
            copy_block(layer, block)
    copy_norm(theirs.encoder.norm, blocks[0].ln_source)
    copy_norm(theirs.decoder.norm, ours.ln_final)
    return theirs


def padded(source: Tensor, pad: int, n: int) -> Tensor:
    return torch.cat([source, torch.full((len(source), n), pad)], dim=1)


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
@torch.no_grad()
def test_it_is_torchs_transformer_with_the_same_weights() -> None:
    ours = small("encoder_decoder")
    theirs, inputs = torchs(ours), example(ours, 3)
    inputs = SourceTarget(inputs.source.clone(), inputs.target)
    inputs.source[0, 5:] = ours.cfg.pad
    hidden = inputs.source == ours.cfg.pad
    causal = nn.Transformer.generate_square_subsequent_mask(inputs.target.shape[1], dtype=torch.float64)
    streams = ours.embed_tokens(inputs)
    final = theirs(
        streams.source, streams.target, tgt_mask=causal, src_key_padding_mask=hidden, memory_key_padding_mask=hidden
    )
    assert_close(ours(inputs), final @ ours.unembed.W_U + ours.unembed.b_U)


@torch.no_grad()
def test_padding_changes_no_logit_whether_attention_is_fused_or_not() -> None:
    model = small("encoder_decoder")
    source, target = example(model)
    longer = SourceTarget(padded(source, model.cfg.pad, 4), target)
    assert_close(model(longer), model(SourceTarget(source, target)))
    explicit, cache = model.run_with_cache(longer, "*hook_pattern")
    assert_close(explicit, model(longer))
    for hook in ("encoder.blocks.1.attn.hook_pattern", "decoder.blocks.1.cross_attn.hook_pattern"):
        assert not cache[hook][..., source.shape[1] :].any()


@pytest.mark.parametrize("name", NETWORKS)
@torch.no_grad()
def test_later_tokens_of_the_target_change_no_earlier_logit_and_every_source_token_changes_them_all(name: str) -> None:
    model = small(name)
    source, target = example(model)
    clean = model(SourceTarget(source, target))
    other = target.clone()
    other[:, 3] = (other[:, 3] + 1) % 8
    late = model(SourceTarget(source, other))
    assert_close(late[:, :3], clean[:, :3])
    assert not torch.allclose(late[:, 3:], clean[:, 3:])
    for place in range(source.shape[1]):
        changed = source.clone()
        changed[:, place] = (changed[:, place] + 1) % 8
        assert bool((model(SourceTarget(changed, target)) != clean).any(dim=-1).all())


@pytest.mark.parametrize("name", NETWORKS)
@torch.no_grad()
def test_the_key_value_cache_changes_no_logit(name: str) -> None:
    model = small(name)
    inputs = example(model)
    first, second, rest = inputs.target.split([2, 1, 2], dim=1)
    state = model.run_stages(inputs, 0, len(model.encoding))
    caches = [KeyValueCache() for _ in model.decoder.blocks]
    pieces = [model.extend(t, state, caches) for t in (first, second, rest)]
    assert_close(torch.cat(pieces, dim=1), model(inputs))


@torch.no_grad()
def test_generation_is_deterministic_by_seed_and_greedy_at_temperature_zero() -> None:
    model = small("encoder_decoder")
    inputs = example(model)
    one, two = model.generate(inputs, 5, seed=1), model.generate(inputs, 5, seed=1)
    assert torch.equal(one, two) and torch.equal(one[:, :5], inputs.target)
    greedy = model.generate(inputs, 3, SamplingConfig(temperature=0.0))
    for end in range(5, 8):
        logits = model(SourceTarget(inputs.source, greedy[:, :end]))
        assert torch.equal(greedy[:, end], logits[:, -1].argmax(dim=-1))
    with pytest.raises(InputError, match="at most 12"):
        model.generate(inputs, 8)


@torch.no_grad()
def test_an_encoders_head_reaches_the_decoder_through_the_key_of_one_cross_attention_head() -> None:
    """One patched edge equals the same patch by hand."""
    model = small("encoder_decoder")
    graph, inputs, corrupted = model.graph(), example(model), example(model, seed=1)
    writer, port = "encoder.blocks.0.attn.hook_z", "decoder.blocks.1.hook_cross_k_input"
    wire, node, entry = graph.wiring.find(f"{writer}[head=1] -> {port}[head=0]")[0], 1, 0
    cut, other = graph.full(0.0), graph.writes(corrupted)
    cut[wire][node, entry] = 1
    with graph.patch(other, cut):
        patched = model(inputs)
    moved = (other[writer] - graph.writes(inputs)[writer])[:, :, 1] @ model.encoder.blocks[0].attn.W_O[1]
    change = torch.stack([moved, torch.zeros_like(moved)], dim=2)
    by_hand = model.run_with_hooks(inputs, fwd_hooks=[(port, lambda x, hook: x + change)])
    assert_close(patched, by_hand)
    assert not torch.allclose(patched, model(inputs))


@torch.no_grad()
def test_a_change_in_the_encoder_reaches_the_output_through_cross_attention_alone() -> None:
    model = small("encoder_decoder")
    one, two = example(model), example(model, seed=1)
    crosses = [zero(f"decoder.blocks.{layer}.hook_cross_attn_out") for layer in range(2)]
    with model.edited(crosses):
        assert torch.equal(model(one), model(SourceTarget(two.source, one.target)))


def test_bad_inputs_and_configurations_are_refused() -> None:
    model = small("encoder_decoder")
    source, target = example(model)
    with pytest.raises(InputError, match="two sequences"):
        model(source)
    with pytest.raises(InputError, match="target is empty"):
        model(SourceTarget(source, target[:, :0]))
    with pytest.raises(InputError, match="source has 14 tokens"):
        model(SourceTarget(source.repeat(1, 2), target))
    with pytest.raises(InputError, match="Token 11 of the target"):
        model(SourceTarget(source, torch.full_like(target, 11)))
    with pytest.raises(InputError, match="only padding"):
        model(SourceTarget(torch.full_like(source, 10), target))
    with pytest.raises(
        ConfigError, match="'encoder_layers' of EncoderDecoderConfig should be a whole number of 1 or more, not 0"
    ):
        EncoderDecoderConfig(encoder_layers=0)
    with pytest.raises(ConfigError, match="pad 40"):
        EncoderDecoderConfig(pad=40)
