"""Tests of every hook's cached value, computed again from its definition."""

from __future__ import annotations

import pytest
import torch
from einops import einsum
from torch.nn.functional import conv2d, gelu, max_pool2d
from torch.testing import assert_close

from tests.zoo.small import example, small
from workbench.zoo.gpt import GPT
from workbench.zoo.layers.normalization import EPSILON

NETWORKS = ["gpt", "gpt rotary rms tied", "gpt attention only"]


def everything(model: GPT) -> dict[str, torch.Tensor]:
    """All activations but each head's own copy of the stream."""
    with torch.no_grad():
        return model.run_with_cache(example(model), [h for h in model.hook_dict if not h.endswith("_input")])[1]


@pytest.mark.parametrize("name", NETWORKS)
def test_the_residual_stream_of_gpt(name: str) -> None:
    model = small(name)
    c = everything(model)
    stream = c["hook_embed"] + (c.get("hook_pos_embed", 0))
    assert_close(c["hook_embed"], model.W_E[example(model)])
    for i, block in enumerate(model.blocks):
        b = f"blocks.{i}"
        assert_close(c[f"{b}.hook_resid_pre"], stream)
        centred = stream - stream.mean(-1, keepdim=True) if model.cfg.normalization == "layer" else stream
        scale = (centred.pow(2).mean(-1, keepdim=True) + EPSILON).sqrt()
        assert_close(c[f"{b}.ln1.hook_scale"], scale)
        bias = 0 if block.ln1.b is None else block.ln1.b
        assert_close(c[f"{b}.ln1.hook_normalized"], centred / scale * block.ln1.w + bias)
        stream = stream + c[f"{b}.hook_attn_out"]
        if not model.cfg.attn_only:
            assert_close(c[f"{b}.hook_resid_mid"], stream)
            assert_close(c[f"{b}.hook_mlp_in"], stream)
            stream = stream + c[f"{b}.hook_mlp_out"]
        assert_close(c[f"{b}.hook_resid_post"], stream)
    assert_close(c["hook_logits"], c["ln_final.hook_normalized"] @ model.W_U + model.b_U)


@pytest.mark.parametrize("name", NETWORKS)
def test_attention(name: str) -> None:
    model = small(name)
    c = everything(model)
    for i, block in enumerate(model.blocks):
        a, b = block.attn, f"blocks.{i}.attn"
        normalized = c[f"blocks.{i}.ln1.hook_normalized"]
        for x, w, bias in (("q", a.W_Q, a.b_Q), ("k", a.W_K, a.b_K), ("v", a.W_V, a.b_V)):
            assert_close(c[f"{b}.hook_{x}"], einsum(normalized, w, "b p m, h m d -> b p h d") + bias)
        rotary = "rot_" if a.rotary else ""
        q, k = c[f"{b}.hook_{rotary}q"], c[f"{b}.hook_{rotary}k"]
        scores = einsum(q, k, "b q h d, b k h d -> b h q k") / model.cfg.head_width**0.5
        scores = scores.masked_fill(torch.ones(scores.shape[-2:]).triu(1).bool(), -torch.inf)
        assert_close(c[f"{b}.hook_attn_scores"], scores)
        assert_close(c[f"{b}.hook_pattern"], scores.softmax(-1))
        z = einsum(scores.softmax(-1), c[f"{b}.hook_v"], "b h q k, b k h d -> b q h d")
        assert_close(c[f"{b}.hook_z"], z)
        assert_close(c[f"{b}.hook_result"], einsum(z, a.W_O, "b p h d, h d m -> b p h m"))
        assert_close(c[f"blocks.{i}.hook_attn_out"], c[f"{b}.hook_result"].sum(2) + a.b_O)


@pytest.mark.parametrize("name", NETWORKS[:2])
def test_the_mlps_of_gpt(name: str) -> None:
    model = small(name)
    c = everything(model)
    for i, block in enumerate(model.blocks):
        pre = c[f"blocks.{i}.ln2.hook_normalized"] @ block.mlp.W_in + block.mlp.b_in
        assert_close(c[f"blocks.{i}.mlp.hook_pre"], pre)
        assert_close(c[f"blocks.{i}.mlp.hook_post"], block.mlp.act(pre))
        assert_close(c[f"blocks.{i}.hook_mlp_out"], block.mlp.act(pre) @ block.mlp.W_out + block.mlp.b_out)


def test_rotary_scores_depend_on_relative_position_alone() -> None:
    from workbench.zoo.layers.rotary import rotate

    q, k = torch.randn(2, 1, 1, 2, 8, dtype=torch.float64)
    q, k = q.expand(1, 9, 2, 8), k.expand(1, 9, 2, 8)
    scores = einsum(rotate(q), rotate(k), "b q h d, b k h d -> h q k")
    assert_close(scores[:, 1:, 1:], scores[:, :-1, :-1])
    assert_close(rotate(q)[:, 3:5], rotate(q[:, 3:5], start=3))


def test_cnn() -> None:
    model = small("cnn")
    x = example(model)
    with torch.no_grad():
        c = model.cache(x)
        for i, block in enumerate(model.blocks):
            assert_close(c[f"blocks.{i}.hook_pre"], block.norm(block.conv(x)))
            assert_close(c[f"blocks.{i}.hook_post"], c[f"blocks.{i}.hook_pre"].relu())
            x = max_pool2d(c[f"blocks.{i}.hook_post"], 2)
            assert_close(c[f"blocks.{i}.hook_pooled"], x)
        assert_close(c["readout.hook_pooled"], x.mean((2, 3)))
        assert_close(c["readout.hook_logits"], model.readout.linear(x.mean((2, 3))))


def test_airbench() -> None:
    model = small("airbench")
    x = example(model)
    with torch.no_grad():
        c = model.cache(x)
        assert_close(c["whiten.hook_pre"], model.whiten.conv(x))
        x = gelu(c["whiten.hook_pre"])
        for i, layer in enumerate(model.blocks):
            assert_close(c[f"blocks.{i}.hook_conv"], conv2d(x, layer.conv.weight, padding=1))
            pooled = max_pool2d(c[f"blocks.{i}.hook_conv"], 2) if i % 2 == 0 else c[f"blocks.{i}.hook_conv"]
            assert_close(c[f"blocks.{i}.hook_pre"], layer.norm(pooled))
            x = gelu(c[f"blocks.{i}.hook_pre"])
            assert_close(c[f"blocks.{i}.hook_post"], x)
        assert_close(c["readout.hook_pooled"], x.amax((2, 3)))
        assert_close(c["readout.hook_logits"], x.amax((2, 3)) @ model.readout.linear.weight.T / 9)


def test_resnet() -> None:
    model = small("resnet")
    x = example(model)
    with torch.no_grad():
        c = model.cache(x, "*")
        stream = model.stem.conv(x)
        assert_close(c["stem.hook_out"], stream)
        for i, block in enumerate(model.blocks):
            b = f"blocks.{i}"
            assert_close(c[f"{b}.hook_resid_pre"], stream)
            assert_close(c[f"{b}.hook_post"], block.norm1(stream).relu())
            assert_close(c[f"{b}.hook_mid"], block.norm2(block.conv1(c[f"{b}.hook_post"])).relu())
            assert_close(c[f"{b}.hook_out"], block.conv2(c[f"{b}.hook_mid"]))
            stream = block.shortcut(stream) + c[f"{b}.hook_out"]
            assert_close(c[f"{b}.hook_resid_post"], stream)
        pooled = model.readout.norm(stream).relu().mean((2, 3))
        assert_close(c["readout.hook_logits"], model.readout.linear(pooled))


def test_mlp() -> None:
    model = small("mlp")
    x = example(model)
    with torch.no_grad():
        c = model.cache(x)
        for i, block in enumerate(model.blocks):
            assert_close(c[f"blocks.{i}.hook_pre"], block.linear(x))
            x = c[f"blocks.{i}.hook_pre"].relu()
            assert_close(c[f"blocks.{i}.hook_post"], x)
        assert_close(c["readout.hook_logits"], model.readout.linear(x))
