"""Tests of learned edge masks: hard concrete probabilities, recovery of a planted circuit, and errors."""

from __future__ import annotations

import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch.testing import assert_close

from tests.zoo.small import example, small
from workbench.analysis.circuits.attribution import other_writes
from workbench.analysis.circuits.edge_pruning import MaskConfig, draw_masks, kept_probability, learned_masks
from workbench.analysis.circuits.tracing import CircuitConfig, trace_circuit
from workbench.core.errors import ConfigError, InputError
from workbench.core.metrics import LogitDifference
from workbench.ground_truth.known import known_circuit


def test_a_mask_is_not_zero_as_often_as_its_probability_says() -> None:
    chances = torch.linspace(-3, 3, 7).repeat_interleave(20_000)
    drawn = draw_masks(chances, torch.Generator().manual_seed(0)).reshape(7, -1)
    assert ((drawn >= 0) & (drawn <= 1)).all()
    assert_close((drawn > 0).float().mean(dim=1), kept_probability(torch.linspace(-3, 3, 7)), rtol=0, atol=0.01)
    assert ((drawn == 1).float().mean(dim=1).diff() > 0).all()


@pytest.mark.parametrize("name", ["planted_cnn", "planted_resnet", "planted_encoder_decoder", "planted_induction"])
def test_the_masks_of_a_planted_circuit_close_on_it(name: str) -> None:
    it = known_circuit(name)
    other = other_writes(it.graph, it.corrupted, "zero")
    kept = it.graph.wiring.as_vector(learned_masks(it.graph, it.inputs, other, it.metric)) > 0.5
    assert torch.equal(kept, it.matter("zero"))


def test_masks_that_training_leaves_between_open_and_closed_still_rank_the_edges() -> None:
    """Two edges of this circuit end near a half; on which side depends on the order in which a processor adds."""
    it = known_circuit("planted_ioi")
    other = other_writes(it.graph, it.corrupted, "zero")
    chances = it.graph.wiring.as_vector(learned_masks(it.graph, it.inputs, other, it.metric))
    matter = it.matter("zero")
    assert roc_auc_score(matter, chances) > 0.9
    assert ((chances > 0.5) == matter).float().mean() >= 0.95


def test_the_same_seed_learns_the_same_masks_and_no_parameter_keeps_a_gradient() -> None:
    it = known_circuit("planted_vote")
    other = other_writes(it.graph, it.corrupted, "resample")
    masks = [learned_masks(it.graph, it.inputs, other, it.metric, MaskConfig(steps=20)) for _ in range(2)]
    for wire in masks[0]:
        assert torch.equal(masks[0][wire], masks[1][wire])
    assert all(p.grad is None for p in it.model.parameters())


def test_they_trace_a_circuit_like_any_other_scores() -> None:
    model = small("mlp")
    clean, other = example(model, seed=0), example(model, seed=1)
    change = model(clean) - model(other)
    metric = LogitDifference(change.argmax(dim=1), change.argmin(dim=1))  # moves one way on every example
    found = trace_circuit(model, clean, other, metric, CircuitConfig(method="learned"))
    assert all(((x >= 0) & (x <= 1)).all() for x in found.scores.values())
    assert found.cmd < found.random_cmd


def test_what_cannot_be_learned_is_refused() -> None:
    with pytest.raises(ConfigError, match="'steps' of MaskConfig should be a whole number of 1 or more, not 0"):
        MaskConfig(steps=0)
    it = known_circuit("planted_vote")
    with pytest.raises(InputError, match="no mask can be learned"):
        learned_masks(it.graph, it.inputs, it.graph.writes(it.inputs), it.metric)
