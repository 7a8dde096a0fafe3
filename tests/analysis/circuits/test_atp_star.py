from __future__ import annotations

from typing import Any

import torch

from tests.analysis.circuits.test_node_patching import question
from tests.analysis.test_ablation import first_logit
from workbench.analysis.circuits.atp_star import attribute_nodes_star, averaged, scores_with
from workbench.analysis.circuits.node_attribution import attribute_nodes
from workbench.analysis.circuits.node_patching import patch_nodes


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
    plain, star = (f(graph, inputs, other, first_logit) for f in (attribute_nodes, attribute_nodes_star))
    truth, without, corrected = (torch.cat([x[hook].abs() for hook in hooks]) for x in (exact, plain, star))
    assert (corrected - truth).abs().max() < 0.1 * (without - truth).abs().max()


def test_strengths_are_not_negative_and_cover_the_same_nodes() -> None:
    graph, inputs, other = question("gpt", "kept")
    star, plain = (f(graph, inputs, other, first_logit) for f in (attribute_nodes_star, attribute_nodes))
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
    effects = torch.tensor([[[2.0]], [[-2.0]], [[9.0]]])  # drop, node, batch
    assert averaged(effects, torch.tensor([[1.0], [1.0], [0.0]])).item() == 2.0
