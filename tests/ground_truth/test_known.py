"""Tests of networks with known circuits against forward passes written by hand."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close
from torch.utils._pytree import tree_leaves

from tests.ground_truth.by_hand import by_hand
from workbench.analysis.circuits.attribution import other_writes
from workbench.analysis.circuits.exact import exact
from workbench.analysis.circuits.faithfulness import metric_kept
from workbench.core.errors import UnknownNameError
from workbench.core.registry import CIRCUITS
from workbench.ground_truth.known import KnownCircuit, known_circuit

PLANTED = [name for name in CIRCUITS if name.startswith("planted")]
every_known = pytest.mark.parametrize("name", CIRCUITS)
every_planted = pytest.mark.parametrize("name", PLANTED)
both_ablations = pytest.mark.parametrize("ablation", ["zero", "resample"])
UNFELT = 1e-4
"""Below this an edge changes nothing; see `test_an_edge_matters_clearly_or_not_at_all`."""


@cache
def known(name: str) -> KnownCircuit:
    return known_circuit(name)


def test_there_are_twenty_networks_of_every_family_with_a_graph() -> None:
    assert len(CIRCUITS) >= 20
    families = {type(known(name).model).__name__ for name in CIRCUITS}
    assert {"GPT", "EncoderDecoder", "ConvNet", "ResNet", "MLPClassifier", "ActorCritic"} <= families


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="planted_cnn"):
        known_circuit("planted_cn")


@every_planted
def test_the_passes_by_hand_are_those_of_the_network(name: str) -> None:
    it = known(name)
    for inputs in (it.inputs, it.corrupted):
        with torch.no_grad():
            ours = tree_leaves(it.model(inputs))
        for a, b in zip(tree_leaves(by_hand(it, inputs)[0]), ours, strict=True):
            assert_close(a, b, rtol=1e-9, atol=1e-9)


@every_planted
def test_the_network_does_its_task(name: str) -> None:
    it = known(name)
    with torch.no_grad():
        right = it.metric(it.model(it.inputs))
    assert (right > 0).all() or name == "planted_policy"  # which has nothing to say while the gate is shut
    assert (right >= 0).all()
    assert right.any()


@every_planted
@both_ablations
def test_an_edge_matters_clearly_or_not_at_all_and_those_that_do_were_declared(name: str, ablation: str) -> None:
    it = known(name)
    output, _ = by_hand(it, it.inputs)
    other = by_hand(it, it.corrupted)[1] if ablation == "resample" else None
    changed = []
    for edge, _, _ in it.graph.wiring.edges():
        cut = (str(edge.writer), str(edge.port))
        changed.append((it.metric(by_hand(it, it.inputs, cut, other)[0]) - it.metric(output)).abs().max())
    felt = torch.stack(changed)
    assert not ((felt > UNFELT) & (felt < 100 * UNFELT)).any()
    assert torch.equal(felt > UNFELT, it.matter(ablation))


@pytest.mark.parametrize("name", [name for name in PLANTED if known(name).duplicates])
def test_duplicates_matter_together_and_not_alone(name: str) -> None:
    it = known(name)
    other = other_writes(it.graph, it.corrupted, "zero")
    for edges in it.duplicates:
        assert not set(it.edges("zero")) & edges
        alone = [metric_without(it, other, {edge}) for edge in edges]
        assert_close(torch.stack(alone), metric_without(it, other, set()).expand(len(edges), -1))
        assert (metric_without(it, other, edges) - metric_without(it, other, set())).abs().max() > 0.1


def metric_without(it: KnownCircuit, other: dict[str, Tensor], edges: set[str] | frozenset[str]) -> Tensor:
    keep = it.graph.full(1.0)
    for edge in edges:
        wire, place = it.graph.wiring.find(edge)
        keep[wire][place] = 0
    return metric_kept(it.graph, it.inputs, other, it.metric, keep)


@every_known
@both_ablations
def test_exact_patching_tells_every_edge_that_matters_from_those_that_do_not(name: str, ablation: str) -> None:
    it = known(name)
    area = it.auroc(exact(it.graph, it.inputs, other_writes(it.graph, it.corrupted, ablation), it.metric), ablation)
    unknown = ablation not in it.labelled or (name, ablation) == ("tracr_length", "resample")
    assert area is None if unknown else area == 1.0
