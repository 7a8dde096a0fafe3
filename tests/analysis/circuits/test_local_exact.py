"""Tests of local-exact attribution: linear networks, saturated readers, and the fitted downstream slopes."""

from __future__ import annotations

from inspect import signature

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from tests.analysis.circuits.test_attribution import contrast, linear
from tests.analysis.test_ablation import first_logit
from tests.core.test_graph import cut_output, every_graph, graph_of
from tests.zoo.small import example
from workbench.analysis.circuits.attribution import eap, eap_ig, other_writes
from workbench.analysis.circuits.blocks import CleanRun
from workbench.analysis.circuits.downstream import Slope, fit_slopes, gradients_at_writes
from workbench.analysis.circuits.exact import exact
from workbench.analysis.circuits.gradients import average, interpolate_sources
from workbench.analysis.circuits.local_exact import local_exact
from workbench.analysis.circuits.tracing import CircuitConfig
from workbench.core.errors import InputError
from workbench.core.graph import Graph
from workbench.core.metrics import KL, logits_of
from workbench.zoo.mlp import MLPClassifier, MLPConfig


@pytest.mark.parametrize("downstream", ["gradient", "path", "secant"])
def test_on_a_linear_network_it_is_exact(downstream: str) -> None:
    model = linear()
    graph, clean, corrupted = model.graph(), model.example(4).double(), model.example(4, seed=1).double()
    other = other_writes(graph, corrupted, "resample")
    ((wire, scores),) = local_exact(graph, clean, other, first_logit, downstream).items()
    assert_close(scores, exact(graph, clean, other, first_logit)[wire], rtol=1e-8, atol=1e-10)


@every_graph
def test_with_a_gradient_it_is_the_change_of_the_reader_times_the_gradient_at_its_write(name: str, detail: str) -> None:
    """Each edge by hand: a full run with that edge cut, the writes of the nodes that its port feeds, their gradient."""
    graph = graph_of(name, detail)
    clean, other = example(graph.model, 2, seed=0), graph.writes(example(graph.model, 2, seed=1))
    scores = local_exact(graph, clean, other, first_logit, "gradient")
    writes, gradients = graph.writes(clean), gradients_at_writes(graph, clean, first_logit)
    edges = list(graph.wiring.edges())
    for _, wire, place in edges[:: max(1, len(edges) // 6)]:
        cut = graph.full(0.0)
        cut[wire][place] = 1
        port = graph.wiring.wires[wire][1]
        fed = [hook for hook, group in graph.nodes.items() if port in group.reads]
        if not fed:
            intact = first_logit(graph.model(clean)).detach()
            expected = first_logit(cut_output(graph, clean, other, cut)) - intact
        else:
            with torch.no_grad(), graph.patch(other, cut):
                moved = graph.writes(clean)
            if len(fed) > 1:
                continue  # a later one would hear of the first
            expected = ((moved[fed[0]] - writes[fed[0]]) * gradients[fed[0]]).flatten(1).sum(dim=1)
        assert_close(scores[wire][place], expected.mean().detach(), rtol=1e-8, atol=1e-10)


def test_a_corrected_slope_gives_each_whole_change_its_real_effect() -> None:
    graph, clean, other = contrast("gpt")
    run = CleanRun.of(graph.model, clean, graph.nodes)
    found = fit_slopes(graph, run, other, first_logit, "secant", steps=2)
    hook = "blocks.1.attn.hook_z"
    effects = found[hook].effect(found[hook].change[None])[0]
    intact = first_logit(graph.model(clean)).detach()
    for head in range(2):
        with torch.no_grad(), graph.model.edited({hook: lambda z, h=head: replaced(z, other[hook], h)}):
            assert_close(effects[:, head], first_logit(graph.model(clean)) - intact, rtol=1e-8, atol=1e-10)


def replaced(z: Tensor, other: Tensor, head: int) -> Tensor:
    z = z.clone()
    z[:, :, head] = other[:, :, head]
    return z


def saturated() -> tuple[Graph, Tensor, dict[str, Tensor]]:
    """Unit 0 sees 8 x0 - 4 through a tanh: it flips from 1 to -1, and has no slope at either end."""
    model = MLPClassifier(MLPConfig(n_features=2, hidden=(1,), n_classes=2, activation="tanh")).double().eval()
    with torch.no_grad():
        model.blocks[0].linear.weight.copy_(torch.tensor([[16.0, 0.01]]))
        model.blocks[0].linear.bias.fill_(-8.0)
        model.readout.linear.weight.copy_(torch.tensor([[1.0], [0.0]]))
    graph = model.graph()
    return graph, torch.ones(1, 2).double(), graph.writes(torch.zeros(1, 2).double())


def test_a_saturated_reader_counts_in_full_where_a_gradient_sees_nothing() -> None:
    graph, clean, other = saturated()
    wire = "hook_input -> blocks.0.hook_pre"
    truth = exact(graph, clean, other, first_logit)[wire][0, 0]
    assert_close(local_exact(graph, clean, other, first_logit)[wire][0, 0], truth, rtol=1e-6, atol=1e-8)
    assert abs(eap(graph, clean, other, first_logit)[wire][0, 0]) < 1e-4 < abs(truth)


def test_a_distance_to_the_clean_output_needs_the_secant() -> None:
    graph, clean, other = contrast("gpt")
    metric = KL(logits_of(graph.model(clean)).detach())
    with pytest.raises(InputError, match="secant"):
        local_exact(graph, clean, other, metric, "gradient")
    scores = graph.wiring.as_vector(local_exact(graph, clean, other, metric))
    truth = graph.wiring.as_vector(exact(graph, clean, other, metric))
    assert torch.corrcoef(torch.stack([scores.float(), truth.float()]))[0, 1] > 0.7


def test_the_correction_of_a_change_beyond_the_whole_one_is_bounded() -> None:
    """Broyden's share of what the gradient misses lies between -1 and 1, however far a node is moved."""
    graph, _, _ = contrast("mlp")
    change, missing = torch.ones(3, 5).double(), torch.full((3, 5), 2.0).double()
    slope = Slope(graph, "blocks.0.hook_post", torch.zeros(3, 5).double(), change, missing)
    for factor, share in ((0.5, 0.5), (1.0, 1.0), (7.0, 1.0), (-0.25, -0.25), (-7.0, -1.0)):
        assert_close(slope.effect(factor * change[None])[0], share * missing)


def test_a_slope_without_correction_is_the_gradient() -> None:
    graph, _, other = contrast("mlp")
    hook = "blocks.0.hook_post"
    gradient, change = torch.randn(3, 5).double(), torch.randn(3, 5).double()
    slope = Slope(graph, hook, gradient, change)
    assert_close(slope.effect(change[None])[0], gradient * change)
    assert other[hook].shape == (3, 5)


def test_every_method_that_averages_gradients_takes_as_many_by_default_as_the_config() -> None:
    for method in (local_exact, eap_ig, fit_slopes):
        assert signature(method).parameters["steps"].default == CircuitConfig().steps


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_the_slope_of_a_path_is_the_mean_over_its_midpoints(steps: int) -> None:
    """The midpoint rule on the derivative of x^3 from 0 to 1 has the error 1 / (4 steps^2)."""
    graph, _, _ = contrast("mlp")
    runs = list(interpolate_sources(graph, {"hook_input": torch.zeros(2, 3)}, {"hook_input": torch.ones(2, 3)}, steps))
    means = average([{"x": 3 * sources["hook_input"] ** 2} for sources in runs], steps)
    assert_close(means["x"], torch.full((2, 3), 1 - 1 / (4 * steps**2)), rtol=1e-6, atol=1e-6)
