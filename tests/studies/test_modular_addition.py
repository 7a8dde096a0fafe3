"""The algorithm of `modular_addition_gpt`: rotations of a few frequencies, and when in training they come."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from workbench.analysis.circuits.fourier import FourierSpectrum, measure_frequencies, spectrum, sum_logits
from workbench.checkpoints.store import load
from workbench.core.registry import DATASETS
from workbench.data.tasks.modular_addition import PRIME


def taken_apart(step: int | None = None) -> tuple[FourierSpectrum, Tensor]:
    """The frequencies of the network and its logits, at a step or after training."""
    model = load("modular_addition_gpt", step)
    logits = sum_logits(model, PRIME)
    return spectrum(model.W_E[:PRIME].detach(), logits), logits


@pytest.fixture(scope="module")
def trained() -> Tensor:
    """Which pairs the network was trained on."""
    rows = DATASETS["modular_addition"]().train_inputs
    known = torch.zeros(PRIME, PRIME, dtype=torch.bool)
    known[rows[:, 0], rows[:, 1]] = True
    return known


def test_a_few_frequencies_hold_the_embedding_and_the_logits() -> None:
    found, _ = taken_apart()
    key = [k - 1 for k in found.key]
    assert len(key) <= 8 < len(found.logits)
    assert found.logits[key].sum() > 0.8 and found.embedding[key].sum() > 0.7


def test_the_key_frequencies_alone_suffice_and_nothing_works_without_them(trained: Tensor) -> None:
    found, logits = taken_apart()
    measured = measure_frequencies(logits, found.key, trained)
    assert measured.accuracy > 0.999 and measured.restricted_accuracy > 0.99
    assert measured.excluded_accuracy < 0.3 and measured.excluded > 1 > measured.restricted


def test_before_grokking_the_training_pairs_are_known_without_them(trained: Tensor) -> None:
    found, _ = taken_apart()
    early = measure_frequencies(taken_apart(250)[1], found.key, trained)
    late = measure_frequencies(taken_apart(3000)[1], found.key, trained)
    assert early.trained < 0.1 and early.accuracy < 0.75
    assert late.trained < 0.1 and late.accuracy > 0.99
    assert late.excluded_trained > early.excluded_trained + 1


def test_the_frequencies_alone_answer_before_the_network_does(trained: Tensor) -> None:
    key = taken_apart()[0].key
    steps = [measure_frequencies(taken_apart(step)[1], key, trained) for step in (0, 250, 500, 1000)]
    restricted = [measured.restricted for measured in steps]
    assert restricted == sorted(restricted, reverse=True)
    assert steps[2].restricted_accuracy > steps[2].accuracy + 0.15
