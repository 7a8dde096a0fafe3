"""Tests of exact node patching: equivalence to cut edges, ablations, and effects per example."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from tests.analysis.test_ablation import first_logit
from tests.core.test_graph import graph_of
from tests.zoo.small import SMALL, example, small
from workbench.analysis.circuits.node_effects import other_activations
from workbench.analysis.circuits.node_patching import patch_nodes
from workbench.analysis.circuits.nodes import node_groups, places, replace_write
from workbench.core.graph import Graph
from workbench.core.sites import Site

DETAILED = [
    ("mlp", "pairs"), ("resnet", "pairs"), ("cnn", "layers"), ("gpt", "neuron"), ("gpt", "block"), ("gpt", "kept"),
    ("gpt rotary rms tied", "kept"), ("encoder_decoder", "neuron"),
]  # fmt: skip
every_graph = pytest.mark.parametrize(("name", "detail"), [*((name, "") for name in SMALL), *DETAILED], ids=" ".join)


def question(name: str, detail: str = "") -> tuple[Graph, Any, dict[str, Tensor]]:
    """A graph, clean inputs, and what everything is replaced by."""
    graph = graph_of(name, detail)
    inputs, corrupted = example(graph.model, 3, seed=0), example(graph.model, 3, seed=1)
    return graph, inputs, other_activations(graph, inputs, corrupted, "resample")


@torch.no_grad()
@every_graph
def test_replacing_a_node_cuts_all_edges_that_leave_it(name: str, detail: str) -> None:
    graph, inputs, other = question(name, detail)
    intact, effects = (
        first_logit(graph.model(inputs)),
        patch_nodes(graph, inputs, graph_writes(graph, other), first_logit),
    )
    everywhere = list(places(graph.wiring.nodes))
    for _, hook, (node, *pos) in everywhere[:: max(1, len(everywhere) // 8)]:
        cut = graph.full(0.0)
        for wire in graph.wiring.out_of(hook):
            cut[wire][(node, slice(None), *pos)] = 1
        with graph.patch(other, cut) as model:
            assert_close(effects[hook][node, *pos], first_logit(model(inputs)) - intact, rtol=1e-8, atol=1e-8)


def graph_writes(graph: Graph, other: dict[str, Tensor]) -> dict[str, Tensor]:
    return {hook: other[hook] for hook in graph.nodes}


@torch.no_grad()
@every_graph
def test_queries_keys_and_values_are_replaced_by_themselves(name: str, detail: str) -> None:
    graph, inputs, other = question(name, detail)
    model, groups = graph.model, node_groups(graph, inputs)
    inside = {hook: group for hook, group in groups.items() if hook not in graph.nodes}
    assert bool(inside) == (model.family in ("gpt", "encoder_decoder") and detail != "block")
    effects = patch_nodes(graph, inputs, {hook: other[hook] for hook in inside}, first_logit)
    assert list(effects) == list(inside)
    for site, hook, place in list(places(inside))[:: max(1, len(inside) // 2)][:20]:

        def instead(x: Tensor, hook: Any, site: Site = site) -> Tensor:
            y, where = x.clone(), [site.index.get(axis, slice(None)) for axis in model.hook_dict[site.hook].axes]
            y[tuple(where)] = other[site.hook][tuple(where)]
            return y

        naive = first_logit(model.run_with_hooks(inputs, fwd_hooks=[(hook, instead)])) - first_logit(model(inputs))
        assert_close(effects[hook][place], naive, rtol=1e-8, atol=1e-8)


@torch.no_grad()
def test_every_node_has_a_site_of_its_own_in_firing_order() -> None:
    for name, detail in (("gpt", "kept"), ("mlp", "pairs"), ("cnn", "")):
        graph, inputs, _ = question(name, detail)
        order = {hook: info.order for hook, info in graph.model.trace(inputs).items()}
        sites = [site for site, _, _ in places(node_groups(graph, inputs))]
        assert len(set(map(str, sites))) == len(sites)
        assert [order[site.hook] for site in sites] == sorted(order[site.hook] for site in sites)
        assert all(str(Site.parse(str(site)).resolve(graph.model)) == str(site) for site in sites)


def test_a_node_is_replaced_by_the_other_write_their_mean_or_nothing() -> None:
    x = torch.tensor([[1.0, 2.0], [3.0, 6.0]])
    assert torch.equal(replace_write(x, "resample"), x)
    assert torch.equal(replace_write(x, "mean"), torch.tensor([[2.0, 4.0], [2.0, 4.0]]))
    assert torch.equal(replace_write(x, "zero"), torch.zeros(2, 2))


def test_effects_are_each_examples_own() -> None:
    model = small("mlp")
    graph, inputs, other = model.graph(), example(model, 3), model.graph().writes(example(model, 3, seed=1))
    together = patch_nodes(graph, inputs, other, first_logit)
    for i in range(3):
        alone = patch_nodes(graph, inputs[i : i + 1], {h: x[i : i + 1] for h, x in other.items()}, first_logit)
        assert all(torch.allclose(together[hook][:, i], alone[hook][:, 0]) for hook in alone)
