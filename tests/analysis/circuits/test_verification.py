"""Tests of circuit verification: known circuits, missing edges, resampling and errors."""

from __future__ import annotations

from functools import cache
from math import isnan

import pytest
import torch
from scipy.stats import pearsonr
from torch import Tensor

from tests.analysis.signed_metric import one_way
from tests.zoo.small import example, small
from workbench.analysis.circuits.attribution import other_writes
from workbench.analysis.circuits.faithfulness import Behaviour
from workbench.analysis.circuits.resampling import (
    draw_behaviour,
    faithfulness_interval,
    jaccard,
    metric_of,
    pairwise_jaccard,
    rows_of,
)
from workbench.analysis.circuits.tracing import CircuitConfig
from workbench.analysis.circuits.verification import Verification, VerifyConfig, correlation, verify_circuit
from workbench.core.errors import Cancelled, ConfigError, InputError
from workbench.core.metrics import LogitDifference
from workbench.ground_truth.known import KnownCircuit, known_circuit

EXACT = CircuitConfig(method="exact")


@cache
def planted(name: str) -> KnownCircuit:
    return known_circuit(name)


@cache
def checked(name: str, size: int, method: str = "exact") -> Verification:
    it = planted(name)
    how = CircuitConfig(method=method)  # type: ignore[arg-type]
    return verify_circuit(it.model, it.inputs, it.corrupted, it.metric, how, VerifyConfig(size=size, sampled=40))


@pytest.mark.parametrize("name", ["planted_cnn", "planted_resnet", "planted_encoder_decoder", "planted_ioi"])
def test_a_known_circuit_is_faithful_complete_and_minimal(name: str) -> None:
    edges = planted(name).edges("resample")
    result = checked(name, len(edges))
    assert {f"{edge.writer} -> {edge.port}" for edge in result.edges} == set(edges)
    assert len(set(result.sampled)) == min(40, result.n_edges)
    assert set(result.sampled) <= {f"{writer} -> {port}" for writer, port, *_ in planted(name).graph.wiring.names()}
    places = "ioi" in name or "encoder" in name  # edges of places never change, so they may go with all others
    assert result.faithfulness == pytest.approx(1, abs=1e-4 if places else 1e-9)
    assert result.complement == pytest.approx(0, abs=0.35)
    assert (result.necessity.abs() > 0.01).all()
    assert result.random.mean() < 0.2
    assert result.pearson == pytest.approx(1) and result.spearman == pytest.approx(1) and result.same_sign == 1


def test_a_missing_edge_shows_and_edges_that_lead_nowhere_are_pruned() -> None:
    it = planted("planted_vote")
    keep = len(it.edges("resample"))
    result = checked("planted_vote", keep - 1)
    assert abs(result.faithfulness - 1) > 0.1
    more = checked("planted_policy", len(planted("planted_policy").edges("resample")) + 5)
    assert more.live <= more.size  # edges that matter to nothing lead nowhere, and are pruned


def test_a_first_order_estimate_disagrees_with_exact_patching_where_it_must() -> None:
    result = checked("planted_duplicate", 7, "eap_ig")
    assert -1 <= result.pearson < 0.999


def behaviour_of(n: int) -> Behaviour:
    model = small("mlp")
    graph, clean, corrupted = model.graph(), example_of(model, n, 0), example_of(model, n, 1)
    difference = LogitDifference(torch.zeros(n).long(), torch.ones(n).long())
    metric = one_way(model, clean, corrupted, metric=difference)
    return Behaviour.of(graph, clean, other_writes(graph, corrupted, "resample"), metric)


def example_of(model: object, n: int, seed: int) -> Tensor:
    return model.example(n, seed).double()  # type: ignore[attr-defined]


def test_drawing_every_example_once_changes_nothing_and_one_example_gives_its_own_gap() -> None:
    whole = behaviour_of(6)
    order = torch.randperm(6)
    again = draw_behaviour(whole, order)
    torch.testing.assert_close(again.clean, whole.clean[order])
    assert again.gap == pytest.approx(whole.gap)
    one = draw_behaviour(whole, torch.tensor([4]))
    assert one.gap == pytest.approx(float(whole.clean[4] - whole.cut[4]))


def test_the_interval_of_a_circuit_that_keeps_the_same_share_everywhere_has_no_width() -> None:
    behaviour = behaviour_of(12)
    kept = behaviour.cut + 0.7 * (behaviour.clean - behaviour.cut)
    low, high = faithfulness_interval(kept, behaviour, seed=0).tolist()
    assert low == pytest.approx(0.7) and high == pytest.approx(0.7)
    noisy = kept + torch.linspace(-1, 1, 12) * behaviour.gap
    low, high = faithfulness_interval(noisy, behaviour, seed=0).tolist()
    assert low < 0.65 and high > 0.75


def test_jaccard_counts_shared_over_all() -> None:
    one, other = torch.tensor([1, 1, 0, 0]).bool(), torch.tensor([0, 1, 1, 0]).bool()
    assert jaccard(one, other) == pytest.approx(1 / 3)
    assert jaccard(one & other, ~one & ~one & False) == 0 and jaccard(one & False, one & False) == 1
    assert pairwise_jaccard([one, one, other]) == [1.0, pytest.approx(1 / 3), pytest.approx(1 / 3)]


def test_metrics_and_inputs_are_drawn_alike() -> None:
    metric = LogitDifference(torch.tensor([0, 1, 2]), torch.tensor([1, 0, 1]))
    rows = torch.tensor([2, 2])
    picked = metric_of(metric, rows, 3)
    assert picked.target.tolist() == [2, 2] and picked.foil.tolist() == [1, 1]  # type: ignore[attr-defined]
    assert rows_of({"a": torch.arange(3)}, rows)["a"].tolist() == [2, 2]
    with pytest.raises(InputError, match="dataclass"):
        metric_of(lambda output: output[:, 0], rows, 3)


def test_bad_requests_are_named() -> None:
    with pytest.raises(ConfigError, match="'controls' of VerifyConfig should be a whole number of 2 or more, not 0"):
        VerifyConfig(controls=0)
    with pytest.raises(InputError, match="Choose a smaller size"):
        model = small("mlp")
        clean, other = example(model, 1, seed=0), example(model, 1, seed=1)
        metric = LogitDifference(torch.zeros(1).long(), torch.ones(1).long())
        verify_circuit(model, clean, other, metric, EXACT, VerifyConfig(size=10**6))


def test_a_size_at_which_nothing_leads_to_the_output_is_refused() -> None:
    it = planted("planted_vote")
    with pytest.raises(InputError, match="form no path"):
        verify_circuit(it.model, it.inputs, it.corrupted, it.metric, EXACT, VerifyConfig(size=1))


@pytest.mark.filterwarnings("error")
def test_nothing_correlates_with_what_does_not_vary() -> None:
    varying, constant = torch.tensor([1.0, 2.0, 4.0]), torch.ones(3)
    assert isnan(correlation(pearsonr, varying, constant)) and isnan(correlation(pearsonr, constant, varying))
    assert correlation(pearsonr, varying, 2 * varying) == pytest.approx(1)


@pytest.mark.parametrize("method", ["exact", "eap_ig", "acdc"])
def test_verifying_is_cancelled_before_any_check_has_ended(method: str) -> None:
    """The edges are scored first, and a size is looked for; both take long and report no finished check."""
    known, reports = planted("planted_vote"), list[tuple[int, int]]()

    def report(done: int, total: int) -> None:
        reports.append((done, total))
        if len(reports) == 3:
            raise Cancelled("stopped")

    question = known.model, known.inputs, known.corrupted, known.metric
    with pytest.raises(Cancelled):
        verify_circuit(*question, CircuitConfig(method=method), VerifyConfig(), progress=report)  # type: ignore[arg-type]
    assert [done for done, _ in reports] == [0, 0, 0]
