"""Tests of optimal ablation: constants compared with means, and circuits traced with them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from tests.zoo.small import SMALL, example, small
from workbench.analysis.circuits.attribution import other_writes
from workbench.analysis.circuits.optimal_ablation import distance, optimal_writes
from workbench.analysis.circuits.tracing import CircuitConfig, trace_circuit
from workbench.core.metrics import LogitDifference
from workbench.zoo.mlp import MLPClassifier, MLPConfig


class FirstLogit:
    def __call__(self, output: Tensor) -> Tensor:
        return output[:, 0]


@pytest.mark.parametrize("name", SMALL)
def test_constants_are_the_same_for_every_example_and_never_worse_than_means(name: str) -> None:
    model = small(name)
    graph, clean, corrupted = model.graph(), example(model, seed=0), example(model, seed=1)
    metric = LogitDifference(torch.zeros(2).long(), torch.ones(2).long())
    found, means = optimal_writes(graph, clean, corrupted, metric), other_writes(graph, corrupted, "mean")
    with torch.no_grad():
        intact = metric(model(clean))
        ours, theirs = (distance(graph, clean, metric, intact, x, None) for x in (found, means))
    assert ours <= theirs
    for hook, x in found.items():
        assert x.shape[1:] == means[hook].shape[1:]
        assert_close(x, x[:1].expand_as(x))


def test_with_everything_constant_the_best_constant_leaves_the_variance() -> None:
    torch.manual_seed(0)
    model = MLPClassifier(MLPConfig(n_features=3, hidden=(4,), n_classes=2)).double().eval()
    inputs = torch.rand(40, 3).double()
    with torch.no_grad():
        intact = model(inputs)[:, 0]
        elsewhere = inputs.flip(0) + 1
        steps: list[tuple[int, int]] = []
        found = optimal_writes(
            model.graph(), inputs, elsewhere, FirstLogit(), progress=lambda *step: steps.append(step)
        )
        means = other_writes(model.graph(), elsewhere, "mean")
        left, before = (distance(model.graph(), inputs, FirstLogit(), intact, x, None) for x in (found, means))
    variance = float(intact.var(unbiased=False))  # what the best constant output leaves
    assert before > 30 * variance
    assert steps == [(step, 100) for step in range(1, 101)]
    assert variance * 0.999 <= float(left) <= 1.01 * variance


def test_it_is_an_ablation_to_trace_with() -> None:
    model = small("cnn")
    clean, other = example(model, seed=0), example(model, seed=1)
    logits = model(clean).detach()

    def closeness(output: Tensor) -> Tensor:
        """Largest on the clean run of each example, so that every example moves one way."""
        return -(output - logits).square().sum(dim=1)

    found = trace_circuit(model, clean, other, closeness, CircuitConfig(ablation="optimal"))
    assert found.ablation == "optimal" and found.faithfulness[-1] == pytest.approx(1, abs=1e-5)


def test_chosen_nodes_write_their_constants_and_the_others_their_own() -> None:
    model = small("mlp")
    graph, clean = model.graph(), example(model)
    with torch.no_grad():
        intact = FirstLogit()(model(clean))
        constants = other_writes(graph, example(model, seed=1), "mean")
        all_of = {hook: torch.ones_like(x) for hook, x in constants.items()}
        none_of = {hook: torch.zeros_like(x) for hook, x in constants.items()}
        together = distance(graph, clean, FirstLogit(), intact, constants, None)
        assert_close(distance(graph, clean, FirstLogit(), intact, constants, all_of), together)
        assert distance(graph, clean, FirstLogit(), intact, constants, none_of) == 0 < together
