"""Tests of edge attribution (EAP, EAP-IG) and exact patching, with closed forms on linear networks."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from tests.analysis.test_ablation import first_logit
from tests.core.test_graph import cut_output, every_graph, graph_of
from tests.zoo.small import SMALL, example, small
from workbench.analysis.circuits.attribution import eap, eap_ig, other_writes
from workbench.analysis.circuits.exact import exact
from workbench.core.errors import InputError
from workbench.core.graph import Graph
from workbench.core.metrics import Correct
from workbench.zoo.mlp import MLPClassifier, MLPConfig

every_network = pytest.mark.parametrize("name", SMALL)


def contrast(name: str) -> tuple[Graph, Any, dict[str, Tensor]]:
    model = small(name)
    graph = model.graph()
    return graph, example(model, 3, seed=0), graph.writes(example(model, 3, seed=1))


def linear(n_features: int = 5, n_classes: int = 3) -> MLPClassifier:
    torch.manual_seed(0)
    return MLPClassifier(MLPConfig(n_features=n_features, hidden=(), n_classes=n_classes)).double().eval()


@pytest.mark.parametrize("ablation", ["resample", "zero", "mean"])
def test_on_a_linear_network_attribution_is_exact_and_sums_to_the_total(ablation: str) -> None:
    model = linear()
    graph, clean, corrupted = model.graph(), model.example(4).double(), model.example(4, seed=1).double()
    other = other_writes(graph, corrupted, ablation)
    ((wire, scores),) = eap(graph, clean, other, first_logit).items()
    assert_close(scores, exact(graph, clean, other, first_logit)[wire], rtol=1e-8, atol=1e-10)
    assert_close(scores, eap_ig(graph, clean, other, first_logit, steps=3)[wire], rtol=1e-8, atol=1e-10)
    expected = ((other["hook_input"] - clean) * model.readout.linear.weight[0]).mean(dim=0)
    assert_close(scores[:, 0], expected.detach(), rtol=1e-8, atol=1e-10)
    assert not scores[:, 1:].any()
    total = first_logit(model(other["hook_input"])) - first_logit(model(clean))
    assert_close(scores.sum(), total.mean().detach(), rtol=1e-8, atol=1e-10)


@every_network
def test_attribution_is_the_derivative_of_cutting_a_little_of_each_edge(name: str) -> None:
    graph, clean, other = contrast(name)
    scores = eap(graph, clean, other, first_logit)
    step = 1e-5
    for wire, score in scores.items():
        node, port = divmod(int(score.abs().argmax()), score.shape[1])
        ends = []
        for sign in (1, -1):
            cut = {w: m.double() for w, m in graph.full(0.0).items()}
            cut[wire][node, port] = sign * step
            ends.append(first_logit(cut_output(graph, clean, other, cut)).mean())
        assert_close(score[node, port], (ends[0] - ends[1]) / (2 * step), rtol=1e-4, atol=1e-7)


@every_graph
def test_scores_of_every_detail_equal_one_derivative_for_each_edge(name: str, detail: str) -> None:
    """An independent implementation: the mask itself in the run, and autograd through the whole network."""
    graph = graph_of(name, detail)
    clean, other = example(graph.model, 3, seed=0), graph.writes(example(graph.model, 3, seed=1))
    cut = {wire: mask.double().requires_grad_() for wire, mask in graph.full(0.0).items()}
    with graph.patch(other, cut) as model:
        first_logit(model(clean)).mean().backward()
    for wire, score in eap(graph, clean, other, first_logit).items():
        wanted = cut[wire].grad
        assert_close(score, torch.zeros_like(score) if wanted is None else wanted, rtol=1e-8, atol=1e-8)


@every_graph
def test_exact_patching_of_every_detail_equals_one_patched_run(name: str, detail: str) -> None:
    graph = graph_of(name, detail)
    clean, other = example(graph.model, 2, seed=0), graph.writes(example(graph.model, 2, seed=1))
    edges = list(graph.wiring.edges())
    chosen = {wire: mask.bool() for wire, mask in graph.full(0.0).items()}
    for _, wire, place in edges[:: max(1, len(edges) // 8)]:
        chosen[wire][place] = True
    scores = exact(graph, clean, other, first_logit, chosen)
    intact = first_logit(cut_output(graph, clean, other, graph.full(0.0)))
    for _, wire, place in edges[:: max(1, len(edges) // 8)]:
        cut = graph.full(0.0)
        cut[wire][place] = 1
        effect = (first_logit(cut_output(graph, clean, other, cut)) - intact).mean()
        assert_close(scores[wire][place], effect, rtol=1e-8, atol=1e-10)


@every_network
def test_integrated_scores_of_the_sources_edges_sum_to_the_whole_effect(name: str) -> None:
    graph, clean, other = contrast(name)
    scores = eap_ig(graph, clean, other, first_logit, steps=60)
    from_sources = sum(scores[w].sum() for hook in graph.wiring.sources for w in graph.wiring.out_of(hook))
    total = first_logit(cut_output(graph, clean, other, graph.full(1.0))) - first_logit(
        cut_output(graph, clean, other, graph.full(0.0))
    )
    assert_close(from_sources, total.mean(), rtol=0.02, atol=2e-3)


@every_network
def test_exact_patching_equals_one_patched_run_for_each_edge(name: str) -> None:
    graph, clean, other = contrast(name)
    scores = exact(graph, clean, other, first_logit)
    intact = first_logit(cut_output(graph, clean, other, graph.full(0.0)))
    edges = list(graph.wiring.edges())
    for _, wire, place in edges[:: max(1, len(edges) // 15)]:
        cut = graph.full(0.0)
        cut[wire][place] = 1
        effect = (first_logit(cut_output(graph, clean, other, cut)) - intact).mean()
        assert_close(scores[wire][place], effect, rtol=1e-8, atol=1e-10)


def test_only_chosen_edges_are_patched() -> None:
    graph, clean, other = contrast("mlp")
    chosen, seen = graph.full(0.0), []
    wire = "blocks.0.hook_post -> blocks.1.hook_pre"
    chosen[wire][:, 2] = 1
    some = exact(graph, clean, other, first_logit, chosen, lambda *at: seen.append(at))
    every = exact(graph, clean, other, first_logit)
    assert_close(some[wire][:, 2], every[wire][:, 2], rtol=1e-8, atol=1e-10)
    assert sum(int((s != 0).sum()) for s in some.values()) <= 5 and seen[-1] == (5, 5)


@every_network
def test_attribution_leaves_parameters_flags_and_hooks_as_they_were(name: str) -> None:
    graph, clean, other = contrast(name)
    model = graph.model
    for i, parameter in enumerate(model.parameters()):
        parameter.requires_grad_(i % 2 == 0)
    flags, before = [p.requires_grad for p in model.parameters()], model(clean)

    def failing(output: Any) -> Tensor:
        raise ZeroDivisionError

    eap(graph, clean, other, first_logit)
    with pytest.raises(ZeroDivisionError):
        eap_ig(graph, clean, other, failing)
    assert [p.requires_grad for p in model.parameters()] == flags
    assert all(p.grad is None for p in model.parameters())
    assert model.router.active_hooks is None and str(model(clean)) == str(before)


def test_scores_do_not_depend_on_what_the_caller_asked_of_gradients() -> None:
    graph, clean, other = contrast("gpt")
    plain = eap(graph, clean, other, first_logit)
    with torch.no_grad():
        inside = eap(graph, clean, other, first_logit)
    assert all(torch.equal(plain[wire], inside[wire]) for wire in plain)


def test_a_metric_without_gradient_and_no_steps_are_refused() -> None:
    graph, clean, other = contrast("mlp")
    with pytest.raises(InputError, match="'exact'"):
        eap(graph, clean, other, Correct(torch.zeros(3, dtype=torch.int64)))
    with pytest.raises(InputError, match="at least 1 step"):
        eap_ig(graph, clean, other, first_logit, steps=0)
