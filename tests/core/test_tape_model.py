"""Tests of models recorded as a tape: values, graphs, and modules that cannot be recorded."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

import workbench
from tests.bench.any import Errors, example_of, measure, open_network, take
from tests.networks import made, networks
from workbench.analysis.circuits.attribution import eap
from workbench.analysis.circuits.exact import exact
from workbench.core.errors import InputError
from workbench.core.tape_model import TapeModel

DERIVED = ("functional", "shared_layer", "several_outputs", "gated", "vae", "u_net", "own_attention")
"""Networks of different forms that open in a fraction of a second."""
DECLARED = (
    ("mnist_cnn", ""),
    ("cartpole_ppo", ""),
    ("induction_gpt", "head"),
    ("greater_than_gpt", "head"),
    ("greater_than_gpt", "neuron"),
    ("dates_encoder_decoder", "head"),
)


@pytest.mark.parametrize("name", DERIVED)
def test_a_derived_graph_holds_to_the_equation(name: str) -> None:
    network = networks()[name]()
    model, graph = open_network(network)
    assert measure(network, model, graph).largest < 1e-10


def test_the_check_of_the_equation_can_fail() -> None:
    network = networks()["gated"]()
    model, graph = open_network(network)
    network.module.out.weight.data += 0.1  # the module moves on, the tape's constants are the same tensors: still equal
    assert measure(network, model, graph).largest < 1e-10
    errors = measure(replace(network, call=lambda inputs: 1.1 * network.call(inputs)), model, graph)
    assert isinstance(errors, Errors) and errors.replay > 1e-3


@pytest.mark.parametrize(("name", "detail"), DECLARED)
def test_derived_and_declared_graphs_score_the_same_edges(name: str, detail: str) -> None:
    own = workbench.load(name).double()
    example = tree_map(lambda x: x.double() if x.is_floating_point() else x, own.example(4, 0))
    model = TapeModel(nn.Module(), example, own, take)
    derived, declared = (net.graph(detail) if detail else net.graph() for net in (model, own))
    clean, other = (tree_map(lambda x, i=i: x[i : i + 2], example) for i in (0, 2))

    def metric(output: Any) -> Tensor:
        return tree_leaves(output)[0].flatten(1)[:, -3:].square().sum(dim=1)

    scores = [
        torch.cat([s.flatten() for s in eap(graph, clean, graph.writes(other), metric).values()])
        for graph in (derived, declared)
    ]
    torch.testing.assert_close(*(s.sort().values for s in scores), rtol=0, atol=1e-8)
    if derived.n_edges < 120:
        totals = [
            torch.cat([s.flatten() for s in exact(graph, clean, graph.writes(other), metric).values()])
            for graph in (derived, declared)
        ]
        torch.testing.assert_close(*(s.sort().values for s in totals), rtol=0, atol=1e-8)


def test_every_value_is_what_plain_hooks_see_and_rows_come_first() -> None:
    network = networks()["torch_encoder"]()
    model, _ = open_network(network)
    seen: dict[str, Tensor] = {}
    parts = {name: part for name, part in network.module.named_modules() if name}
    hooks = [
        part.register_forward_hook(lambda _, __, out, name=name: seen.__setitem__(name, out))
        for name, part in parts.items()
    ]
    inputs = take(example_of(network), 3)
    network.module(inputs)
    for hook in hooks:
        hook.remove()
    sites = [name for name in model.hook_dict if name in seen and isinstance(seen[name], Tensor)]
    cached = model.cache(inputs, sites)
    assert len(sites) > 10
    for name in sites:
        torch.testing.assert_close(cached[name], seen[name].expand_as(cached[name]), rtol=1e-10, atol=1e-12)
    assert all(model.hook_dict[name].axes[0] == "batch" for name in sites)


def test_a_sweep_of_heads_equals_one_edit_at_a_time() -> None:
    network = networks()["own_attention"]()
    model, graph = open_network(network)
    hook = next(group.hook for group in graph.nodes.values() if group.axis == "head")
    inputs = take(example_of(network), 3)
    conditions = [(workbench.interventions.zero(f"{hook}[head={i}]"),) for i in range(4)]
    swept = workbench.sweep(model, inputs, conditions, measure=lambda y: y[:, -1, 3])
    for condition, found in zip(conditions, swept, strict=True):
        with model.edited(condition):
            torch.testing.assert_close(found, model(inputs)[:, -1, 3])


@pytest.mark.parametrize("length", [4, 9])
def test_inputs_of_another_length_are_recorded_anew(length: int) -> None:
    network = networks()["own_attention"]()
    model = TapeModel(network.module, network.example, network.call, take)
    tokens = torch.randint(20, (3, length))
    torch.testing.assert_close(model.run_stages(tokens, 0, len(model.stages)), network.module(tokens), rtol=0, atol=0)


class Branching(nn.Module):
    """Takes another path where the mean is positive."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return (self.a if bool(x[0, 0] > 0) else self.b)(x)


class Batched(nn.Module):
    """Subtracts the mean over the rows."""

    def forward(self, x: Tensor) -> Tensor:
        return (x - x.mean(dim=0)).relu()


class Random(nn.Module):
    """Draws noise."""

    def forward(self, x: Tensor) -> Tensor:
        return x.relu() + torch.rand(3)


def test_more_work_than_was_recorded_is_refused_in_a_sentence() -> None:
    class Longer(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.relu() if x.shape[1] < 4 else x.relu().tanh()

    model = workbench.record(Longer(), torch.rand(5, 3))
    with pytest.raises(InputError, match="does other work for these inputs .* from aten.relu"):
        model.run_stages(torch.rand(5, 4), 0, len(model.stages))


def test_another_branch_than_the_recorded_one_raises() -> None:
    example = torch.rand(4, 3) + 0.1
    network = made("", "", Branching, lambda: example)
    model = TapeModel(network.module, example, network.call, take)
    with pytest.raises(InputError, match="may do other work"):
        model.run_stages(-example, 0, len(model.stages))


@pytest.mark.parametrize("module", [Batched, Random])
def test_what_the_tape_cannot_hold_is_refused_in_a_sentence(module: type[nn.Module]) -> None:
    example = torch.rand(4, 3)
    network = made("", "", module, lambda: example)
    with pytest.raises(InputError, match="rows|random"):
        TapeModel(network.module, example, network.call, take)


def test_a_network_that_ignores_its_inputs_is_refused() -> None:
    class Constant(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.ones(3)

    network = made("", "", Constant, lambda: torch.rand(4, 3))
    with pytest.raises(InputError, match="does not depend on the inputs"):
        TapeModel(network.module, network.example, network.call, take)


class OneHead(nn.Module):
    """Attention written out, of one head."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.read = nn.Embedding(7, 8), nn.Linear(8, 5)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens)
        return self.read((x @ x.mT).softmax(-1) @ x)


def test_the_two_position_axes_of_a_pattern_are_query_and_key() -> None:
    model = workbench.record(OneHead(), torch.randint(7, (2, 6)))
    assert model.hook_dict[":softmax"].axes == ("batch", "query", "key")
    assert model.hook_dict["embed"].axes[:2] == ("batch", "pos")


def test_a_function_of_a_sum_with_an_embedding_keeps_the_edge_from_it() -> None:
    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Embedding(7, 3), nn.Embedding(7, 3)

        def forward(self, tokens: Tensor) -> Tensor:
            return (self.one(tokens).relu() + self.two(tokens)).square().sum(dim=1)

    graph = workbench.record(Sum(), torch.randint(7, (2, 4))).graph("block")
    assert sorted(graph.wires) == [":pow -> output.in", ":relu -> :pow.in", "one -> :relu.in", "two -> :pow.in"]


def test_heads_read_their_own_columns_of_the_weights() -> None:
    model = workbench.record(TwoHeads(), torch.randint(7, (2, 6)))
    (part,) = [part for part in model.parts if part.region is not None and len(part.ports) > 2]
    reads = [(port, part.region.units.operand_axis[port.operands[0]]) for port in part.ports if port.copies]
    for port, axis in reads:
        assert model.unit_read(port, axis).columns.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert len(reads) == 3
    assert all(model.hook_dict[port.name].on_request for part in model.parts for port in part.ports)
    readers = {name: ports.reader for name, ports in model.graph().ports.items()}
    assert all(readers[port.name] is not None for port, _ in reads)


class TwoHeads(nn.Module):
    """Attention of two heads, written out."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.read = nn.Embedding(7, 8), nn.Linear(8, 5)
        self.norm, self.q, self.k, self.v = nn.LayerNorm(8), *(nn.Linear(8, 8) for _ in range(3))

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens)
        q, k, v = (f(self.norm(x)).unflatten(-1, (2, 4)).transpose(1, 2) for f in (self.q, self.k, self.v))
        pattern = (q @ k.mT / 2).softmax(-1)
        return self.read((pattern @ v).transpose(1, 2).flatten(2))


def test_other_work_for_another_length_is_refused() -> None:
    class Lengths(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return (x.relu() if x.shape[1] > 4 else x.tanh()).sum(dim=1)

    model = workbench.record(Lengths(), torch.rand(4, 3))
    with pytest.raises(InputError, match="does other work for these inputs"):
        model.run_stages(torch.rand(4, 6), 0, len(model.stages))


@pytest.mark.parametrize("example", [torch.zeros(0, 3), (), torch.tensor(1.0)])
def test_an_example_without_rows_is_refused(example: Any) -> None:
    with pytest.raises(InputError, match="no tensor with rows"):
        workbench.record(nn.ReLU(), example)
