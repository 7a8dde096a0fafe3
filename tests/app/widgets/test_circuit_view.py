"""Tests of the drawn circuit: it has exactly the edges of the result."""

from __future__ import annotations

from itertools import pairwise

import pytest

from app.components.circuit import MOST_EDGES, Picture
from app.widgets import circuit_view
from workbench.analysis.circuits.circuit import Circuit
from workbench.core.sites import Site
from workbench.experiments.run import run_analysis


@pytest.fixture(scope="module")
def traced() -> Circuit:
    return run_analysis("circuit", "digits_mlp", inputs="test:0:8", metric="logit_difference", method="eap")


@pytest.fixture(scope="module")
def picture(traced: Circuit) -> Picture:
    return circuit_view.picture(traced, "a")


def test_edges_are_the_strongest_pruned_ones_with_their_rank(traced: Circuit, picture: Picture) -> None:
    top = traced.top(MOST_EDGES)
    assert [edge.id for edge in picture.edges] == [f"{edge.writer} -> {edge.port}" for edge in top]
    assert len(picture.edges) <= MOST_EDGES
    assert all(one.rank <= two.rank and abs(one.score) >= abs(two.score) for one, two in pairwise(picture.edges))
    strengths = traced.wiring.as_vector(traced.scores).abs()
    for edge in picture.edges[:20]:
        assert edge.rank == int((strengths > abs(edge.score)).sum()) + int((strengths == abs(edge.score)).sum())


def test_every_edge_joins_two_nodes_of_the_picture_and_runs_forward(picture: Picture) -> None:
    layer = {node.id: node.layer for node in picture.nodes}
    assert all(layer[edge.source] < layer[edge.target] for edge in picture.edges)


def test_edges_into_a_unit_end_where_its_own_edges_begin(picture: Picture) -> None:
    hidden = [node for node in picture.nodes if not node.source and not node.sink]
    assert hidden
    for node in hidden:
        assert any(edge.target == node.id for edge in picture.edges)
        assert any(edge.source == node.id for edge in picture.edges)


def test_sources_are_inputs_and_sinks_are_logits(picture: Picture) -> None:
    assert {Site.parse(node.id).hook for node in picture.nodes if node.source} == {"hook_input"}
    assert {Site.parse(node.id).hook for node in picture.nodes if node.sink} == {"readout.hook_logits"}


def test_a_node_is_labelled_by_axis_and_index() -> None:
    assert circuit_view.label("blocks.0.hook_post[unit=12]") == "u12"
    assert circuit_view.label("blocks.0.hook_mlp_out") == "mlp"
