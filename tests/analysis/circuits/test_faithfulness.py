from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from tests.analysis.test_ablation import first_logit
from tests.zoo.small import example, small
from workbench.analysis.circuits.faithfulness import Behaviour, cmd, cpr, log_sizes


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


def test_all_edges_are_wholly_faithful_and_none_not_at_all() -> None:
    model = small("gpt")
    graph = model.graph()
    behaviour = Behaviour.of(graph, example(model, seed=0), graph.writes(example(model, seed=1)), first_logit)
    assert behaviour.faithfulness(graph.full(1.0)) == 1
    assert abs(behaviour.faithfulness(graph.full(0.0))) < 1e-6
