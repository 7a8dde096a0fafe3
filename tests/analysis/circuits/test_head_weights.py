"""Tests of techniques that need only weights: composition, OV and QK circuits, expanded weights."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from tests.zoo.small import small
from workbench.analysis.circuits.composition import composition
from workbench.analysis.circuits.expanded_weights import check_passes, expanded_weights, pass_on
from workbench.analysis.circuits.head_weights import ov_circuit, qk_circuit
from workbench.core.errors import ConfigError, InputError, UnknownNameError
from workbench.core.fitting import missing_axes
from workbench.core.registry import ANALYSES
from workbench.ground_truth.known import known_circuit
from workbench.zoo.gpt import GPT, GPTConfig

GPTS = ["gpt", "gpt rotary rms tied", "gpt bare", "gpt attention only"]


@pytest.mark.parametrize("name", ["gpt bare", "gpt attention only"])
def test_a_score_is_the_norm_of_the_product_over_the_product_of_norms(name: str) -> None:
    model = small(name)
    found = composition(model)
    heads, first, second = model.cfg.n_heads, model.blocks[0], model.blocks[1]
    centre = torch.eye(model.cfg.d_model).double()
    if name != "gpt bare":  # a layer norm takes the mean away and multiplies by its gain
        centre = (centre - 1 / model.cfg.d_model) @ torch.diag(second.ln1.w)
    centre_first = (
        centre if name == "gpt bare" else (torch.eye(len(centre)).double() - 1 / len(centre)) @ torch.diag(first.ln1.w)
    )
    for a in range(heads):
        ov = centre_first @ first.attn.W_V[a] @ first.attn.W_O[a]
        for b in range(heads):
            qk = centre @ second.attn.W_Q[b] @ second.attn.W_K[b].T @ centre.T
            writes = centre @ second.attn.W_V[b] @ second.attn.W_O[b]
            for part, reads in ((0, qk), (1, qk.T), (2, writes)):
                wanted = (ov @ reads).norm() / (ov.norm() * reads.norm())
                assert_close(found.score[part, a, heads + b], wanted.detach(), rtol=1e-6, atol=1e-8)
    assert found.score[:, heads:, :heads].isnan().all()


@pytest.mark.parametrize("name", GPTS)
def test_scores_lie_between_nothing_and_everything(name: str) -> None:
    known = composition(small(name)).score
    known = known[~known.isnan()]
    assert len(known) and (known >= 0).all() and (known <= 1 + 1e-9).all()


def test_planted_heads_compose_as_they_were_set() -> None:
    found = composition(known_circuit("planted_induction").model)
    score = dict(zip(found.parts, found.score, strict=True))
    first, second = found.heads.index("blocks.0.attn.hook_z[head=0]"), found.heads.index("blocks.1.attn.hook_z[head=1]")
    assert score["K"][first, second] > 5 * max(score["Q"][first, second], score["V"][first, second])
    ioi = composition(known_circuit("planted_ioi").model)
    inhibit, mover = ioi.heads.index("blocks.1.attn.hook_z[head=0]"), ioi.heads.index("blocks.2.attn.hook_z[head=0]")
    assert ioi.score[0, inhibit, mover] > 5 * max(ioi.score[1, inhibit, mover], ioi.score[2, inhibit, mover])


def test_the_ov_circuit_of_a_head_that_copies_is_diagonal_and_its_copying_score_is_one() -> None:
    it = known_circuit("planted_induction")
    table = ov_circuit(it.model, "blocks.1.attn.hook_z[head=0]")
    assert_close(table, 0.5 * torch.eye(4).double())
    copying = dict(zip(composition(it.model).heads, composition(it.model).copying.tolist(), strict=True))
    assert copying["blocks.1.attn.hook_z[head=0]"] == pytest.approx(1)
    same = qk_circuit(known_circuit("planted_ioi").model, "blocks.0.attn.hook_z[head=0]")
    assert (same.diagonal() > 10).all() and same.fill_diagonal_(0).abs().max() < 1e-9


@pytest.mark.parametrize("degrees", [0, 60, 90, 150])
def test_the_copying_score_of_a_head_that_turns_what_it_copies_is_the_cosine_of_the_angle(degrees: int) -> None:
    """Its eigenvalues are complex, of size 1, and their sum is twice the cosine; real parts alone would give 1."""
    model = GPT(
        GPTConfig(d_vocab=2, n_ctx=2, n_layers=1, d_model=2, n_heads=1, d_head=2, normalization="none")
    ).double()
    angle = torch.tensor(degrees).double().deg2rad()
    turn = torch.stack([torch.stack([angle.cos(), -angle.sin()]), torch.stack([angle.sin(), angle.cos()])])
    with torch.no_grad():
        model.embed.W_E.copy_(torch.eye(2))
        model.unembed.W_U.copy_(torch.eye(2))
        model.blocks[0].attn.W_V[0], model.blocks[0].attn.W_O[0] = torch.eye(2).double(), turn
    assert composition(model.eval()).copying.item() == pytest.approx(float(angle.cos()), abs=1e-9)


def test_networks_without_heads_do_not_fit() -> None:
    assert missing_axes(ANALYSES["composition"], small("mlp")) == ["head"]
    assert missing_axes(ANALYSES["composition"], small("encoder_decoder")) == []
    with pytest.raises(ConfigError, match="an axis 'head', and .* has none"):
        composition(small("cnn"))
    with pytest.raises(UnknownNameError, match="heads at"):
        ov_circuit(small("gpt"), "blocks.0.attn.hook_q[head=0]")


# Expanded weights


def test_through_dense_layers_they_are_the_product_of_the_weights() -> None:
    model = small("mlp")
    first, second = (block.linear.weight for block in model.blocks)
    product = model.readout.linear.weight @ second @ first
    for feature in range(6):
        found = expanded_weights(model.graph(), f"hook_input[feature={feature}]", "readout.hook_logits")
        assert_close(found, product[:, feature].detach())
    direct = expanded_weights(model.graph(), "hook_input[feature=2]", "blocks.0.hook_pre")
    assert_close(direct, first[:, 2].detach())


def test_through_a_convolution_they_are_its_kernel_turned_round() -> None:
    model = small("cnn")
    block = model.blocks[0]
    gain = block.norm.weight / (block.norm.running_var + block.norm.eps).sqrt()
    found = expanded_weights(model.graph(), "hook_input[channel=1]", "blocks.0.hook_pre")
    middle = found.shape[-1] // 2
    kernel = (block.conv.weight[:, 1] * gain[:, None, None]).flip(1, 2).detach()
    assert_close(found[:, middle - 1 : middle + 2, middle - 1 : middle + 2], kernel)
    assert_close(found.abs().sum(), kernel.abs().sum())


def test_planted_curves_are_made_of_their_lines() -> None:
    it = known_circuit("planted_cnn")
    to_shapes = {line: expanded_weights(it.graph, f"blocks.0.hook_pooled[channel={line}]", "blocks.2.hook_pre")
                 for line in range(3)}  # fmt: skip
    shape_of = {line: found.abs().sum(dim=(1, 2)) for line, found in to_shapes.items()}
    assert shape_of[2][0] > 0 and shape_of[2][1] == 0  # a diagonal makes round things alone
    assert shape_of[1][1] > 0 and shape_of[1][0] == 0  # a vertical, square ones
    assert (shape_of[0][:2] > 0).all()


def test_no_weights_lead_through_attention_and_unknown_names_are_named() -> None:
    graph = small("gpt").graph()
    with pytest.raises(ConfigError, match="composition"):
        expanded_weights(graph, "hook_embed", "blocks.1.hook_resid_post")
    whole = next(hook for hook, group in graph.nodes.items() if len(group.reads) == 1 and group.axis is None)
    assert graph.size[whole] == graph.size[graph.nodes[whole].reads[0]] == 1
    with pytest.raises(ConfigError, match="not a layer of units"):
        check_passes(graph, whole)
    with pytest.raises(UnknownNameError, match="hook_input"):
        expanded_weights(small("mlp").graph(), "hook_inptu[feature=0]", "readout.hook_logits")
    with pytest.raises(InputError, match="not one node"):
        expanded_weights(small("mlp").graph(), "hook_input", "readout.hook_logits")


def test_what_a_channel_passes_on_is_pooled_to_the_size_it_writes() -> None:
    x = torch.arange(24.0).reshape(1, 1, 6, 4)
    pooled = pass_on(x, torch.zeros(1, 5, 3, 2))
    assert pooled.shape == (1, 1, 3, 2) and pooled[0, 0, 0, 0] == x[0, 0, :2, :2].mean()
    assert pass_on(x, x) is x
