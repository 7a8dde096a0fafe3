"""Tests of circuit files: JSON, graph JSON of EAP-IG and networkx graphs."""

from __future__ import annotations

import json
from dataclasses import replace

import networkx as nx
import pytest
import torch
from torch.utils._pytree import tree_leaves

from tests.analysis.signed_metric import one_way
from tests.figures.results import circuit as small_circuit
from tests.zoo.small import example, small
from workbench.analysis.circuits.circuit import Circuit
from workbench.analysis.circuits.tracing import CircuitConfig, trace_circuit
from workbench.core.errors import CheckpointError, ConfigError, InputError, ShapeError, UnknownNameError
from workbench.core.metrics import LogitDifference
from workbench.core.wiring import Group, Wiring
from workbench.experiments.store.circuit_formats import (
    as_networkx,
    circuit_json,
    eap_ig_json,
    graphml,
    read_circuit,
    read_eap_ig,
)


def traced(name: str = "gpt", **how: object) -> Circuit:
    model = small(name)
    clean, corrupted = example(model, seed=0), example(model, seed=1)
    difference = LogitDifference(torch.zeros(2).long(), torch.ones(2).long())
    metric = one_way(model, clean, corrupted, metric=difference)
    return trace_circuit(model, clean, corrupted, metric, CircuitConfig(**how, draws=2))


@pytest.mark.parametrize("how", [{}, {"positions": True}, {"detail": "block"}])
def test_a_circuit_comes_back_from_json_bit_for_bit(how: dict[str, object]) -> None:
    one = traced(**how)
    other = read_circuit(circuit_json(one))
    assert other.wiring == one.wiring and other.sign == one.sign and other.n == 2
    for a, b in zip(tree_leaves(vars(one)), tree_leaves(vars(other)), strict=True):
        assert torch.equal(a, b) and a.dtype == b.dtype if isinstance(a, torch.Tensor) else a == b


def test_what_is_no_circuit_or_does_not_fit_its_graph_is_refused() -> None:
    for text in ("{", "{}", '{"kind": "something"}', "[]"):
        with pytest.raises(CheckpointError, match="no stored circuit"):
            read_circuit(text)
    one = small_circuit()
    torn = replace(one, scores={wire: x[:1] for wire, x in one.scores.items()})
    with pytest.raises(ShapeError, match="another model"):
        read_circuit(circuit_json(torn))


def test_a_graph_that_runs_in_a_circle_or_is_cut_off_is_refused() -> None:
    one = small_circuit()
    round_and_round = Wiring(
        nodes={"a": Group(None, 1, ("b in",)), "b": Group(None, 1, ("a in",))},
        ports={"a in": Group(None, 1), "b in": Group(None, 1)},
        wires={"a -> a in": ("a", "a in"), "b -> b in": ("b", "b in")},
    )
    scores = round_and_round.full(1.0)
    with pytest.raises(ConfigError, match="circle"):
        read_circuit(circuit_json(replace(one, wiring=round_and_round, scores=scores)))
    loose = Wiring(one.wiring.nodes, one.wiring.ports, {**one.wiring.wires, "x -> y": ("x", "y")})
    with pytest.raises(ConfigError, match="cut off"):
        read_circuit(circuit_json(replace(one, wiring=loose)))


def test_the_graph_for_eap_ig_has_its_names_and_comes_back() -> None:
    one = traced()
    model = small("gpt")
    text = eap_ig_json(one, model.cfg.d_model, 20)
    graph = json.loads(text)
    layers, heads = model.cfg.n_layers, model.cfg.n_heads
    assert graph["cfg"] == {
        "n_layers": layers, "n_heads": heads, "parallel_attn_mlp": False, "d_model": model.cfg.d_model,
    }  # fmt: skip
    expected = 0
    for layer in range(layers):  # as EAP-IG counts: each head's three ports, then the MLP, read all before them
        before = 1 + layer * (heads + 1)
        expected += 3 * heads * before + before + heads
    assert len(graph["edges"]) == expected + 1 + layers * (heads + 1)
    back = read_eap_ig(text, one.wiring)
    assert sum(int(mask.sum()) for mask in one.mask(20).values()) <= sum(int(mask.sum()) for mask in back.kept.values())
    for wire, scores in one.scores.items():
        if not wire.startswith(("hook_embed", "hook_pos_embed")):
            assert torch.allclose(back.scores[wire].double(), scores)
            assert torch.equal(back.kept[wire], one.mask(20)[wire])
        else:
            port = wire.partition(" -> ")[2]
            both = one.scores[f"hook_embed -> {port}"] + one.scores[f"hook_pos_embed -> {port}"]
            assert torch.allclose(back.scores[f"hook_embed -> {port}"].double(), both)


def test_the_graph_of_another_model_is_refused() -> None:
    text = eap_ig_json(traced(), 8, 20)
    graph = json.loads(text)
    first = next(iter(graph["edges"]))
    missing = {**graph, "edges": {name: edge for name, edge in graph["edges"].items() if name != first}}
    with pytest.raises(UnknownNameError, match="this model has it"):
        read_eap_ig(json.dumps(missing), traced().wiring)
    strange = {**graph, "edges": {**graph["edges"], "a9.h9->logits": graph["edges"][first]}}
    with pytest.raises(UnknownNameError, match="a9.h9"):
        read_eap_ig(json.dumps(strange), traced().wiring)
    with pytest.raises(CheckpointError, match="EAP-IG"):
        read_eap_ig("[]", traced().wiring)
    with pytest.raises(InputError, match="EAP-IG knows"):
        eap_ig_json(traced("mlp"), 8, 5)


@pytest.mark.parametrize("how", [{}, {"positions": True}])
@pytest.mark.parametrize("name", ["gpt", "mlp", "resnet"])
def test_in_networkx_every_node_is_on_a_path_from_a_source_to_a_sink(name: str, how: dict[str, object]) -> None:
    if how and name != "gpt":
        pytest.skip("keeps no positions")
    one = traced(name, **how)
    graph = as_networkx(one, 15)
    kept = sum(int(mask.sum()) for mask in one.mask(15).values())
    assert sum("score" in data for _, _, data in graph.edges(data=True)) == kept > 0
    assert nx.is_directed_acyclic_graph(graph)
    hooks = {site: site.partition("[")[0] for site in graph}
    for site in graph:
        assert any(hooks[s] in one.wiring.sources for s in nx.ancestors(graph, site) | {site})
        assert any(hooks[s] in one.wiring.sinks for s in nx.descendants(graph, site) | {site})
    assert set(nx.parse_graphml(graphml(one, 15)).nodes) == set(graph.nodes)
