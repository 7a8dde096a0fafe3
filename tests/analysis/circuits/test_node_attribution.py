"""Tests of attribution patching on nodes and of the head importance score."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from tests.analysis.circuits.test_node_patching import every_graph, question
from tests.analysis.test_ablation import first_logit
from tests.zoo.small import example, small
from workbench.analysis.circuits.attribution import eap
from workbench.analysis.circuits.hisp import hisp
from workbench.analysis.circuits.node_attribution import atp
from workbench.analysis.circuits.node_patching import patch_nodes
from workbench.analysis.circuits.nodes import node_groups
from workbench.core.errors import InputError
from workbench.core.metrics import Correct


def linear_mlp() -> Any:
    model: Any = small("mlp")
    for block in model.blocks:
        block.act = nn.Identity().eval()
    return model.eval()


def test_attribution_is_exact_on_a_linear_network() -> None:
    model = linear_mlp()
    graph, inputs, other = model.graph(), example(model, 4), model.graph().writes(example(model, 4, seed=1))
    estimate = atp(graph, inputs, other, first_logit)
    for hook, exact in patch_nodes(graph, inputs, other, first_logit).items():
        assert_close(estimate[hook], exact, rtol=1e-8, atol=1e-8)


@every_graph
def test_attribution_equals_a_naive_one_with_a_shift_at_each_hook(name: str, detail: str) -> None:
    """The derivative of each example's own metric along a shift that is added at the raw hook point."""
    graph, inputs, other = question(name, detail)
    model, effects = graph.model, atp(graph, inputs, other, first_logit)
    for hook, group in node_groups(graph, inputs).items():
        x = model.cache(inputs, hook)[hook]
        shift = torch.zeros_like(x, requires_grad=True)
        value = first_logit(model.run_with_hooks(inputs, fwd_hooks=[(hook, lambda y, hook, by=shift: y + by)]))
        for i in range(len(value)):
            gradient = torch.autograd.grad(value[i], shift, retain_graph=True, allow_unused=True)[0]
            product = (torch.zeros_like(x) if gradient is None else gradient) * (other[hook] - x)
            axes = list(model.hook_dict[hook].axes)
            order = [axes.index(a) for a in (group.axis, "pos" if group.positions else None) if a]
            product = product[i].movedim([d - 1 for d in order], list(range(len(order))))
            product = product.flatten(len(order)).sum(dim=-1) if product.ndim > len(order) else product
            entries = product if group.axis else product[None]
            nodes = torch.stack([part.sum(dim=0) for part in entries.split(group.width)])
            assert_close(effects[hook][..., i], nodes, rtol=1e-8, atol=1e-10)


@every_graph
def test_a_node_is_the_sum_of_its_edges(name: str, detail: str) -> None:
    graph, inputs, other = question(name, detail)
    nodes, edges = (f(graph, inputs, other, first_logit) for f in (atp, eap))
    for hook in graph.nodes:
        total = sum(edges[wire].sum(dim=1) for wire in graph.wiring.out_of(hook))
        assert_close(nodes[hook].mean(dim=-1), total, rtol=1e-8, atol=1e-8)


@every_graph
def test_head_importance_is_the_sensitivity_to_a_gate_on_each_node(name: str, detail: str) -> None:
    """Michel et al.: the derivative along a mask variable that multiplies the node's activation, at 1."""
    graph, inputs, other = question(name, detail)
    model, groups = graph.model, node_groups(graph, inputs)
    nothing = {hook: torch.zeros_like(x) for hook, x in other.items()}
    scores = hisp(graph, inputs, nothing, first_logit)
    for hook, group in groups.items():
        if group.width > 1 or group.positions:
            continue
        axes = model.hook_dict[hook].axes
        gate = torch.ones([3, group.size], dtype=torch.float64, requires_grad=True)
        shape = [n if a in ("batch", group.axis) else 1 for a, n in zip(axes, other[hook].shape, strict=True)]
        gated = lambda x, hook, gate=gate, shape=shape: x * gate.reshape(shape)
        value = first_logit(model.run_with_hooks(inputs, fwd_hooks=[(hook, gated)])).sum()
        gradient = torch.autograd.grad(value, gate, allow_unused=True, materialize_grads=True)[0]
        assert_close(scores[hook], gradient.abs().T, rtol=1e-8, atol=1e-10)


def test_no_parameter_gets_a_gradient() -> None:
    graph, inputs, other = question("gpt")
    atp(graph, inputs, other, first_logit)
    assert all(parameter.grad is None for parameter in graph.model.parameters())


def test_a_metric_without_a_gradient_is_refused() -> None:
    graph, inputs, other = question("mlp")

    def hits(output: Tensor) -> Tensor:
        return Correct(torch.zeros(3, dtype=torch.long))(output).detach()

    with pytest.raises(InputError, match=r"no gradient.*'exact'"):
        atp(graph, inputs, other, hits)
