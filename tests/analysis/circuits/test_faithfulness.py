"""Tests of faithfulness curves: circuit sizes, areas CMD and CPR, and their intervals."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from tests.analysis.test_ablation import first_logit
from tests.zoo.small import example, small
from workbench.analysis.circuits.faithfulness import Behaviour, circuit_sizes, cmd, cpr, log_sizes
from workbench.analysis.circuits.resampling import cmd_interval, random_cmd_interval
from workbench.core.metrics import Signed


@given(n_edges=st.integers(1, 100_000))
def test_sizes_grow_from_one_edge_to_all(n_edges: int) -> None:
    sizes = log_sizes(n_edges)
    assert int(sizes[0]) == 1 and int(sizes[-1]) == n_edges and len(sizes) <= 12
    assert bool((sizes.diff() > 0).all())


def test_areas_of_simple_curves() -> None:
    sizes = torch.tensor([1, 25, 50, 100])
    perfect, nothing, share = torch.ones(4), torch.zeros(4), sizes / 100
    assert_close(torch.stack([cmd(sizes, share), cpr(sizes, share)]), torch.tensor([0.5, 0.5]).double())
    assert_close(torch.stack([cmd(sizes, perfect), cpr(sizes, perfect)]), torch.tensor([0.005, 0.995]).double())
    assert_close(torch.stack([cmd(sizes, nothing), cpr(sizes, nothing)]), torch.tensor([1.0, 0.0]).double())
    assert cpr(sizes, 2 * perfect) > 1 and cmd(sizes, 2 * perfect) > 0.9


def test_at_mibs_sizes_areas_are_mibs_own_over_its_percentages() -> None:
    """The trapezoids of MIB's circuit track, written out: from 0.1 % on, over the percentages and not the counts."""
    percentages = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)
    assert circuit_sizes("mib", 1108).tolist() == [1, 2, 5, 11, 22, 55, 110, 221, 554, 1108]
    sizes = circuit_sizes("mib", 193)
    assert sizes.tolist() == [0, 0, 0, 1, 3, 9, 19, 38, 96, 193], "rounded down, so small circuits may be empty"
    curve = torch.tensor([0.0, 0.0, 0.1, 0.4, 1.2, 0.9, 0.95, 1.1, 0.99, 1.0])
    under = beyond = 0.0
    for i in range(9):
        width = (percentages[i + 1] - percentages[i]) / 100
        under += width * float(curve[i] + curve[i + 1]) / 2
        beyond += width * float((1 - curve[i]).abs() + (1 - curve[i + 1]).abs()) / 2
    assert float(cpr(sizes, curve, "mib")) == pytest.approx(under)
    assert float(cmd(sizes, curve, "mib")) == pytest.approx(beyond)


@given(n_edges=st.integers(1, 100_000))
def test_usual_sizes_are_those_on_a_logarithmic_scale_and_tenths_above_the_half(n_edges: int) -> None:
    usual, log = circuit_sizes("usual", n_edges).tolist(), circuit_sizes("log", n_edges)
    assert torch.equal(log, log_sizes(n_edges)) and set(log.tolist()) <= set(usual)
    assert usual == sorted(set(usual))
    assert usual[0] >= 1 and usual[-1] == n_edges and len(usual) <= 16
    if n_edges >= 10:
        assert all(any(abs(size / n_edges - tenth / 10) < 0.06 for size in usual) for tenth in (6, 7, 8, 9))


def test_the_interval_of_cmd_is_that_of_its_own_draws() -> None:
    """Two examples at which the circuit keeps all and nothing: a draw has either or both, CMD 0, 1/2 or 1."""
    model = small("mlp")
    graph, clean, corrupted = model.graph(), example(model, 2, seed=0), example(model, 2, seed=1)
    metric = Signed.of(first_logit, model(clean).detach(), model(corrupted).detach())
    behaviour = Behaviour.of(graph, clean, graph.writes(corrupted), metric)
    sizes = torch.tensor([1, graph.n_edges])
    kept = torch.stack([behaviour.clean[0], behaviour.cut[1]]).expand(2, 2)
    low, high = cmd_interval(kept, behaviour, sizes, "usual", seed=0)
    edge = 1 / graph.n_edges / 2
    assert low == pytest.approx(edge, abs=1e-6) and high == pytest.approx(1, abs=1e-6)
    both = torch.stack([kept, behaviour.clean.expand(2, 2)])
    low, high = random_cmd_interval(both, behaviour, sizes, "usual", seed=0)
    assert low == pytest.approx(edge, abs=1e-6) and high == pytest.approx(1, abs=1e-6)


def test_all_edges_are_wholly_faithful_and_none_not_at_all() -> None:
    model = small("gpt")
    graph = model.graph()
    behaviour = Behaviour.of(graph, example(model, seed=0), graph.writes(example(model, seed=1)), first_logit)
    assert behaviour.faithfulness(graph.full(1.0)) == 1
    assert abs(behaviour.faithfulness(graph.full(0.0))) < 1e-6
