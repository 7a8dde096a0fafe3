"""Tests of ACDC against the reference procedure, edge by edge."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from tests.analysis.circuits.test_attribution import contrast
from tests.analysis.test_ablation import first_logit
from tests.core.test_graph import cut_output, graph_of
from tests.zoo.small import example
from workbench.analysis.circuits.acdc import acdc
from workbench.core.errors import InputError
from workbench.core.graph import Graph
from workbench.core.metrics import KL, Metric, logits_of

GRAPHS = [
    ("mlp", ""), ("cnn", "pairs"), ("resnet", "pairs"), ("gpt", ""), ("gpt bare", "block"),
    ("gpt rotary rms tied", "block"), ("gpt attention only", "kept"), ("encoder_decoder bare", ""),
    ("actor_critic", "pairs"), ("actor_critic shared", "layers"),
]  # fmt: skip
"""The reference takes one full pass for each edge: graphs of at most some 200."""


def reference(graph: Graph, clean: Any, other: dict[str, Tensor], metric: Metric, share: float) -> dict[str, Tensor]:
    """Algorithm 1 of Conmy et al. (2023), one full pass for each edge."""

    def distance(cut: dict[str, Tensor]) -> float:
        return float((metric(cut_output(graph, clean, other, cut)) - intact).abs().mean())

    intact = metric(graph.model(clean)).detach()
    allowed, order = share * distance(graph.full(1.0)), [*graph.model.trace()]
    cut, now = {w: m.double() for w, m in graph.full(0.0).items()}, 0.0
    edges = list(graph.wiring.edges())
    for port in sorted(graph.ports, key=lambda hook: -order.index(hook)):
        into = [(str(e.port), w, at) for e, w, at in edges if graph.wiring.wires[w][1] == port]
        for reader in sorted({(at[1:], name) for name, _, at in into}):
            writers = [(w, at) for name, w, at in into if name == reader[1]]
            writers.sort(key=lambda edge: (order.index(graph.wiring.wires[edge[0]][0]), edge[1]), reverse=True)
            for wire, at in writers:
                cut[wire][at] = 1
                new = distance(cut)
                if new - now >= allowed:
                    cut[wire][at] = 0
                else:
                    now = new
    return {wire: mask == 0 for wire, mask in cut.items()}


@pytest.mark.parametrize(("name", "detail"), GRAPHS)
def test_the_circuit_is_that_of_the_reference_procedure(name: str, detail: str) -> None:
    graph = graph_of(name, detail)
    clean, other = example(graph.model, 2, seed=0), graph.writes(example(graph.model, 2, seed=1))
    metric = KL(logits_of(graph.model(clean)).detach())
    found = acdc(graph, clean, other, metric, threshold=0.03)
    expected = reference(graph, clean, other, metric, 0.03)
    for wire, kept in expected.items():
        assert torch.equal(found.kept[wire], kept), wire
        assert torch.equal(found.increase[wire] != 0, kept)


def test_the_increase_is_what_cutting_the_edge_costs_when_its_turn_comes() -> None:
    graph, clean, other = contrast("mlp")
    found = acdc(graph, clean, other, first_logit, threshold=1e-9)
    last = list(graph.wires)[-1]
    cut = {wire: torch.zeros_like(mask) for wire, mask in found.increase.items()}
    node = graph.wiring.shape(last)[0] - 1
    cut[last][node, 0] = 1
    intact = first_logit(graph.model(clean)).detach()
    expected = (first_logit(cut_output(graph, clean, other, cut)) - intact).abs().mean()
    assert_close(found.increase[last][node, 0], expected, rtol=1e-8, atol=1e-10)


def test_a_threshold_that_no_edge_reaches_leaves_nothing_and_costs_little() -> None:
    graph, clean, other = contrast("gpt")
    found = acdc(graph, clean, other, first_logit, threshold=1e6)
    assert not any(kept.any() for kept in found.kept.values())
    assert found.runs < graph.n_edges / 10


def test_a_threshold_of_nothing_is_refused() -> None:
    graph, clean, other = contrast("mlp")
    with pytest.raises(InputError, match="above 0"):
        acdc(graph, clean, other, first_logit, threshold=0.0)


def test_edges_from_a_writer_that_writes_the_same_in_both_runs_go_without_a_run() -> None:
    graph = graph_of("mlp", "")
    clean = example(graph.model, 2, seed=0)
    shared = example(graph.model, 2, seed=1)
    shared[:, 1:] = clean[:, 1:]
    metric = KL(logits_of(graph.model(clean)).detach())
    apart, alike = (
        acdc(graph, clean, graph.writes(x), metric, threshold=1e-6) for x in (example(graph.model, 2, seed=1), shared)
    )
    first = next(wire for wire in graph.wires if wire.startswith("hook_input"))
    assert not alike.kept[first][1:].any() and alike.kept[first][0].any()
    assert alike.runs < apart.runs
