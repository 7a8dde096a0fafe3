"""Tests of information flow routes against the paper's formula computed by hand."""

from __future__ import annotations

import torch
from torch.testing import assert_close

from tests.core.test_graph import every_graph, graph_of
from tests.zoo.small import example, small
from workbench.analysis.circuits.information_flow import information_flow, proximity, routes
from workbench.zoo.mlp import MLPClassifier, MLPConfig


def hand_made() -> MLPClassifier:
    """One logit: 3 x0 + 1 x1 - 2 x2, no bias."""
    model = MLPClassifier(MLPConfig(n_features=3, hidden=(), n_classes=1)).double().eval()
    with torch.no_grad():
        model.readout.linear.weight.copy_(torch.tensor([[3.0, 1.0, -2.0]]))
        model.readout.linear.bias.zero_()
    return model


def test_shares_are_those_of_the_formula_by_hand() -> None:
    """Read 2; |2| - |2 - 3| = 1, |2| - |2 - 1| = 1 and |2| - |2 + 2| < 0: two halves and nothing."""
    ((wire, shares),) = information_flow(hand_made().graph(), torch.ones(1, 3).double()).items()
    assert wire == "hook_input -> readout.hook_logits"
    assert_close(shares, torch.tensor([[0.5], [0.5], [0.0]]).double())


def test_a_part_is_near_as_a_whole_and_not_entry_by_entry() -> None:
    """L1 norms of whole vectors: |(1, -2)| - |(1, -2) - (3, -2)| = 3 - 2; entries cut off at 0 one by one give 2."""
    graph = small("gpt").graph()
    port = next(port for port in graph.ports if port in graph.sinks)
    read, part = (torch.zeros(1, 1, 1, graph.model.cfg.d_model).double() for _ in range(2))
    read[..., :2], part[..., :2] = torch.tensor([1.0, -2.0]), torch.tensor([3.0, -2.0])
    assert proximity(graph, port, part, read).flatten().tolist() == [1.0]
    assert proximity(graph, port, -read, read).flatten().tolist() == [0.0], "what points away is no help"


@every_graph
def test_shares_of_a_port_are_at_most_one_together(name: str, detail: str) -> None:
    graph = graph_of(name, detail)
    shares = information_flow(graph, example(graph.model, 3))
    for port in graph.ports:
        total = sum(shares[wire].sum(dim=0) for wire in graph.wiring.into(port))
        assert bool((total <= 1 + 1e-9).all()) and bool((total >= 0).all())
    assert set(shares) == set(graph.wires)
    assert all(tuple(x.shape) == graph.wiring.shape(name) for name, x in shares.items())


def test_routes_start_at_the_output_and_end_at_small_shares() -> None:
    graph = graph_of("mlp", "")
    shares = {wire: torch.zeros(graph.wiring.shape(wire)) for wire in graph.wires}
    first, second, last = graph.wires
    shares[last][1, 0], shares[second][2, 1], shares[first][0, 2], shares[first][0, 3] = 0.9, 0.8, 0.7, 0.9
    kept = routes(graph, shares, 0.5)
    assert kept[last].nonzero().tolist() == [[1, 0]] and kept[second].nonzero().tolist() == [[2, 1]]
    assert kept[first].nonzero().tolist() == [[0, 2]], "unit 3 leads nowhere"


def test_routes_from_one_position_of_the_output_leave_out_the_edges_of_others() -> None:
    graph = graph_of("gpt", "kept")
    keep = {wire: torch.ones(graph.wiring.shape(wire)) for wire in graph.wires}
    into_output = [wire for sink in graph.sinks for wire in graph.wiring.into(sink)]
    last = graph.wiring.shape(into_output[0])[-1] - 1
    found, every = routes(graph, keep, 0.5, position=last), routes(graph, keep, 0.5)
    for wire in into_output:
        assert found[wire][..., last].all() and not found[wire][..., :last].any()
        assert every[wire].all()
