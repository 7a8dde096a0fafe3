"""Tests of circuit tracing on every architecture and on planted circuits, and of its errors."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import Any

import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch.testing import assert_close

from tests.analysis.signed_metric import one_way
from tests.analysis.test_ablation import first_logit
from tests.zoo.small import SMALL, example, small
from workbench.analysis.circuits.acdc import acdc
from workbench.analysis.circuits.attribution import eap_ig
from workbench.analysis.circuits.circuit import Circuit
from workbench.analysis.circuits.local_exact import local_exact
from workbench.analysis.circuits.tracing import CircuitConfig, trace_circuit
from workbench.core.errors import ConfigError, InputError, ShapeError, UnknownNameError
from workbench.core.metrics import KL, logits_of
from workbench.core.registry import ANALYSES
from workbench.zoo.cnn import CNNConfig, ConvNet
from workbench.zoo.mlp import MLPClassifier, MLPConfig

every_network = pytest.mark.parametrize("name", SMALL)


def traced(name: str, method: str = "eap_ig", ablation: str = "resample") -> Circuit:
    model = small(name)
    clean, corrupted = example(model, 3, seed=0), example(model, 3, seed=1)
    metric = one_way(model, clean, corrupted, ablation)
    return trace_circuit(model, clean, corrupted, metric, CircuitConfig(method, ablation, draws=3))


@every_network
@pytest.mark.parametrize(("method", "ablation"), [("eap_ig", "resample"), ("eap", "mean"), ("exact", "zero")])
def test_every_network_gives_a_circuit_that_ends_in_the_whole_model(name: str, method: str, ablation: str) -> None:
    circuit = traced(name, method, ablation)
    n_edges = circuit.wiring.n_edges
    assert int(circuit.sizes[-1]) == n_edges == sum(score.numel() for score in circuit.scores.values())
    assert_close(float(circuit.faithfulness[-1]), 1.0, rtol=0, atol=1e-5)
    assert circuit.random_faithfulness.shape == (3, len(circuit.sizes))
    low, high = circuit.faithfulness_interval
    assert bool(((low - 1e-5 <= circuit.faithfulness) & (circuit.faithfulness <= high + 1e-5)).all())
    apart = replace(circuit, cmd_interval=(0.1, 0.2), random_cmd_interval=(0.3, 0.4))
    assert apart.beats_random is True and replace(apart, random_cmd_interval=(0.2, 0.4)).beats_random is False
    assert (circuit.method, circuit.ablation, circuit.metric) == (method, ablation, "Signedfirst_logit")


def planted_mlp() -> tuple[MLPClassifier, set[str]]:
    """Features 2 and 5 go through units 1 and 4 to class 0; all other weights are small and miss class 0's path."""
    model = MLPClassifier(MLPConfig(n_features=8, hidden=(6,), n_classes=2)).eval()
    inner, outer = model.blocks[0].linear, model.readout.linear
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        inner.weight[1, 2], inner.weight[4, 5], inner.weight[0, 3] = 1.0, 1.0, 1.0
        outer.weight[0, 1], outer.weight[0, 4], outer.weight[1, 0] = 2.0, 1.0, 3.0  # unit 0 is a distractor
    path = ((2, 1), (5, 4))
    edges = {f"hook_input[feature={f}] -> blocks.0.hook_pre[unit={u}]" for f, u in path}
    edges |= {f"blocks.0.hook_post[unit={u}] -> readout.hook_logits[class=0]" for _, u in path}
    return model, edges


def planted_cnn() -> tuple[ConvNet, set[str]]:
    """Input channel 1 goes through channel 2, then channel 0, to class 1; input channel 0 to class 0 only."""
    model = ConvNet(CNNConfig(in_channels=2, size=8, channels=(3, 2), n_classes=2)).eval()
    first, second = (block.conv.weight for block in model.blocks)
    with torch.no_grad():
        for parameter in (first, second, model.readout.linear.weight, model.readout.linear.bias):
            parameter.zero_()
        first[2, 1, 1, 1], second[0, 2, 1, 1], model.readout.linear.weight[1, 0] = 1.0, 1.0, 1.0
        first[0, 0, 1, 1], second[1, 0, 1, 1], model.readout.linear.weight[0, 1] = 1.0, 1.0, 1.0
    edges = {
        "hook_input[channel=1] -> blocks.0.hook_pre[channel=2]",
        "blocks.0.hook_pooled[channel=2] -> blocks.1.hook_pre[channel=0]",
        "blocks.1.hook_pooled[channel=0] -> readout.hook_logits[class=1]",
    }
    return model, edges


@pytest.mark.parametrize(("planted", "target"), [(planted_mlp, 0), (planted_cnn, 1)])
@pytest.mark.parametrize("method", ["eap", "eap_ig", "exact"])
def test_a_planted_circuit_is_found(planted, target: int, method: str) -> None:
    model, truth = planted()
    clean, corrupted = model.example(6, seed=0).abs(), model.example(6, seed=1).abs() * 0.5
    circuit = trace_circuit(model, clean, corrupted, lambda output: output[:, target], CircuitConfig(method))
    edges = [(str(edge) in truth, abs(float(circuit.scores[w][at]))) for edge, w, at in circuit.wiring.edges()]
    assert roc_auc_score(*zip(*edges, strict=True)) == 1.0
    found = {f"{edge.writer} -> {edge.port}" for edge in circuit.top(len(truth))}
    assert found == truth


def test_the_strongest_edges_make_a_whole_circuit_of_the_size_asked_for() -> None:
    circuit = traced("gpt")
    edges = circuit.top(20)
    assert 10 <= len(edges) <= 20
    assert [abs(e.score) for e in edges] == sorted((abs(e.score) for e in edges), reverse=True)
    mask = circuit.wiring.full(0.0)
    for edge in edges:
        wire, place = circuit.wiring.find(f"{edge.writer} -> {edge.port}")
        mask[wire][place] = 1
        assert_close(float(circuit.scores[wire][place]), edge.score)
    pruned = circuit.wiring.prune(mask)
    assert sum(int(m.sum()) for m in pruned.values()) == len(edges)
    assert len(circuit.top(10**6)) == sum(int(m.sum()) for m in circuit.mask(circuit.wiring.n_edges).values())
    assert circuit.top(1)  # never nothing: the smallest circuit there is


def test_a_seed_fixes_the_random_circuits_and_nothing_else() -> None:
    model = small("mlp")
    clean, corrupted = example(model, seed=0), example(model, seed=1)
    metric = one_way(model, clean, corrupted)
    one, two, three = (trace_circuit(model, clean, corrupted, metric, seed=s) for s in (1, 1, 2))
    assert torch.equal(one.random_faithfulness, two.random_faithfulness)
    assert not torch.equal(one.random_faithfulness, three.random_faithfulness)
    assert torch.equal(one.faithfulness, three.faithfulness)


def test_progress_only_rises_and_arrives() -> None:
    model, seen = small("mlp"), []
    clean, corrupted = example(model), example(model, seed=1)
    metric = one_way(model, clean, corrupted)
    ANALYSES["circuit"](model, clean, corrupted, metric, progress=lambda *at: seen.append(at[0] / at[1]))
    assert seen == sorted(seen) and seen[-1] == 1.0


def distance(model) -> tuple[Tensor, Tensor, KL]:
    clean, corrupted = example(model, seed=0), example(model, seed=1)
    return clean, corrupted, KL(logits_of(model(clean)).detach())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_first_order_method_refuses_a_distance_to_the_clean_output(dtype: torch.dtype) -> None:
    model = small("gpt").to(dtype)
    clean, corrupted, kl = distance(model)
    with pytest.raises(InputError, match=r"vanishes.*eap_ig.*exact"):
        trace_circuit(model, clean, corrupted, kl, CircuitConfig("eap"))
    for method in ("eap_ig", "exact"):
        circuit = trace_circuit(model, clean, corrupted, kl, CircuitConfig(method))
        assert_close(float(circuit.faithfulness[-1]), 1.0, rtol=0, atol=1e-4)


def test_inputs_that_cannot_be_compared_are_refused() -> None:
    model = small("gpt")
    clean = example(model)
    with pytest.raises(ShapeError, match=r"\(2, 8\).*\(2, 7\)"):
        trace_circuit(model, clean, clean[:, 1:], first_logit)
    with pytest.raises(InputError, match="no effect to restore"):
        trace_circuit(model, clean, clean, first_logit)


def test_a_model_without_a_graph_is_refused() -> None:
    class Plain(MLPClassifier):
        graph = MLPClassifier.__mro__[1].graph

    model = Plain(MLPConfig(n_features=3, hidden=(2,), n_classes=2)).eval()
    with pytest.raises(ConfigError, match="declares no computation graph"):
        trace_circuit(model, model.example(seed=0), model.example(seed=1), first_logit)


@pytest.mark.parametrize(
    "how", [{"detail": "block"}, {"detail": "neuron"}, {"positions": True}, {"group": 3, "detail": "neuron"}]
)
def test_a_circuit_of_every_detail_keeps_the_behaviour_when_it_keeps_all_edges(how: dict[str, Any]) -> None:
    model = small("gpt")
    clean, corrupted = example(model, 3), example(model, 3, seed=1)
    circuit = trace_circuit(model, clean, corrupted, one_way(model, clean, corrupted), CircuitConfig(**how, draws=2))
    assert_close(float(circuit.faithfulness[-1]), 1.0, rtol=1e-5, atol=1e-5)
    assert circuit.seed == 0 and circuit.top(20)


def test_a_detail_that_a_graph_does_not_have_is_refused() -> None:
    model = small("gpt")
    with pytest.raises(UnknownNameError, match="Did you mean 'head'"):
        trace_circuit(model, example(model), example(model, seed=1), first_logit, CircuitConfig(detail="heads"))
    with pytest.raises(ConfigError, match="'group' of CircuitConfig should be a whole number of 0 or more, not -1"):
        CircuitConfig(group=-1)


def test_a_group_of_zero_is_one_node_for_each_hook() -> None:
    model = small("cnn")
    apart, together = (CircuitConfig(group=group).graph(model, example(model)) for group in (1, 0))
    assert {len(edges) for edges in together.full(1.0).values()} == {1}
    assert max(len(edges) for edges in apart.full(1.0).values()) > 1


@pytest.mark.parametrize(("method", "names"), [(local_exact, ["steps"]), (eap_ig, ["steps"]), (acdc, ["threshold"])])
def test_a_method_called_by_itself_has_the_settings_of_a_traced_circuit(method: Any, names: list[str]) -> None:
    own = inspect.signature(method).parameters
    assert {name: own[name].default for name in names} == {name: getattr(CircuitConfig(), name) for name in names}


def test_the_smallest_circuit_that_is_enough_is_the_first_above_the_share() -> None:
    circuit = replace(traced("mlp"), sizes=torch.tensor([0, 1, 2, 3]), faithfulness=torch.tensor([0.0, 0.5, 0.95, 1.0]))
    assert [circuit.enough(share) for share in (0.3, 0.5, 0.9, 1.1)] == [1, 1, 2, -1]
