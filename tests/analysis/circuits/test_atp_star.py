"""Tests of AtP*: its corrections for saturated attention and cancelling effects."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from scipy.stats import spearmanr

from tests.analysis.circuits.test_node_patching import question
from tests.analysis.test_ablation import first_logit
from tests.zoo.small import small
from workbench.analysis.circuits.atp_star import (
    atp_star,
    reaching,
    residual_layers,
    scores_with,
    strengths,
    warn_few_layers,
)
from workbench.analysis.circuits.gradients import differentiate
from workbench.analysis.circuits.node_attribution import atp
from workbench.analysis.circuits.node_effects import NodeConfig, node_effects
from workbench.analysis.circuits.node_patching import patch_nodes
from workbench.checkpoints.store import load
from workbench.core.metrics import METRICS, Question
from workbench.experiments.inputs.reading import read_inputs
from workbench.zoo.gpt import GPT, GPTConfig


def sharpened(name: str = "gpt bare") -> Any:
    """A GPT whose attention is nearly one-hot, as that of trained heads is."""
    graph, inputs, other = question(name)
    with torch.no_grad():
        for block in graph.model.blocks:
            block.attn.W_Q *= 6
    return graph, inputs, graph.model.cache(inputs, list(other)), other


def test_the_corrections_see_through_saturated_attention() -> None:
    """Exact patching is the truth, where little but the pattern is not linear; the plain estimate misses a softmax."""
    graph, inputs, _, other = sharpened()
    hooks = ["blocks.1.attn.hook_q", "blocks.1.attn.hook_k"]
    exact = patch_nodes(graph, inputs, {hook: other[hook] for hook in hooks}, first_logit)
    plain, star = (f(graph, inputs, other, first_logit) for f in (atp, atp_star))
    truth, without, corrected = (torch.cat([x[hook].abs() for hook in hooks]) for x in (exact, plain, star))
    assert (corrected - truth).abs().max() < 0.1 * (without - truth).abs().max()


def test_strengths_are_not_negative_and_cover_the_same_nodes() -> None:
    graph, inputs, other = question("gpt", "kept")
    star, plain = (f(graph, inputs, other, first_logit) for f in (atp_star, atp))
    assert star.keys() == plain.keys()
    assert all(star[hook].shape == plain[hook].shape and bool((star[hook] >= 0).all()) for hook in star)


def test_scores_with_the_other_queries_are_the_products_of_these_with_the_clean_keys() -> None:
    graph, inputs, other = question("gpt bare")
    clean = graph.model.cache(inputs, ["blocks.*.attn.hook_k", "blocks.*.attn.hook_pattern"])
    patterns = {f"blocks.{i}.attn": clean[f"blocks.{i}.attn.hook_pattern"] for i in range(2)}
    for layer, scores in scores_with(graph, inputs, other, "q", patterns).items():
        query, key = other[f"{layer}.hook_q"], clean[f"{layer}.hook_k"]
        assert torch.allclose(scores, torch.einsum("bqhd,bkhd->bhqk", query, key) / query.shape[-1] ** 0.5)


def test_effects_that_cancel_over_passes_do_not_cancel_in_the_mean() -> None:
    effects = torch.tensor([[[0.0]], [[2.0]], [[-2.0]], [[9.0]]])  # no drop, then three; node, batch
    assert strengths(effects, torch.tensor([[1.0], [1.0], [0.0]])).item() == 2.0


def test_a_node_whose_effect_every_drop_removes_keeps_its_plain_estimate() -> None:
    effects = torch.tensor([[[-5.0]], [[0.1]], [[0.3]]])
    assert strengths(effects, torch.tensor([[1.0], [1.0]])).item() == 5.0
    assert strengths(effects, torch.zeros(2, 1)).item() == 5.0


def test_the_mean_over_drops_has_the_factor_of_the_paper() -> None:
    """In a residual network of L layers it is the sum over all L drops over L - 1: a node's own drop is zero."""
    graph, inputs, other = question("gpt")
    layers = residual_layers(graph)
    counted = reaching(graph, layers)
    for own in range(2):
        share = counted[f"blocks.{own}.attn.hook_z"]
        assert share.sum(dim=0).tolist() == [len(layers) - 1] * share.shape[1] and not share[own].any()
    hooks = ["blocks.0.attn.hook_z"]
    run = differentiate(graph, inputs, first_logit, hooks, drops=layers)
    change = (other[hooks[0]] - run.values[hooks[0]]) * run.gradients[hooks[0]]
    by_drop = change.sum(dim=(2, 4)).abs()  # drop, batch, head
    assert by_drop[0].max() == 0
    star = atp_star(graph, inputs, other, first_logit)[hooks[0]]
    plain = atp(graph, inputs, other, first_logit)[hooks[0]].abs()
    torch.testing.assert_close(star, torch.maximum(plain, by_drop.sum(dim=0).T / (len(layers) - 1)))


@pytest.mark.slow
def test_the_previous_token_head_of_a_network_of_two_layers_is_not_lost() -> None:
    """Exact patching is the truth: AtP* ranks nodes more like it than the plain estimate does, and says its limit."""
    model = load("induction_gpt")
    clean = read_inputs("test:0:16", model)
    corrupted = read_inputs("other:0", model, clean).inputs
    metric = METRICS["logit_difference"](Question(model(clean.inputs), model(corrupted), clean.targets))
    found = {
        method: node_effects(model, clean.inputs, corrupted, metric, NodeConfig(method=method))
        for method in ("exact", "atp", "atp_star")
    }
    exact, plain, star = (found[method].effect.abs().mean(dim=1) for method in ("exact", "atp", "atp_star"))
    head = found["exact"].nodes.index("blocks.0.attn.hook_z[head=0]")
    assert exact[head] > 40 and star[head] >= 0.99 * plain[head] > 0.5
    assert spearmanr(exact, star).statistic > spearmanr(exact, plain).statistic
    assert "this graph has 2" in found["atp_star"].note and "'exact'" in found["atp_star"].note
    assert not found["exact"].note and not found["atp"].note


def test_three_layers_are_enough_to_average_over() -> None:
    three = GPT(GPTConfig(d_vocab=5, n_ctx=4, n_layers=3, d_model=8, n_heads=2)).eval()
    assert warn_few_layers(three.graph()) == "" and "has 2" in warn_few_layers(small("gpt").graph())
