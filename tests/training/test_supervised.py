"""Tests of classifier training and evaluation."""

import math
import re

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from workbench.core.errors import ConfigError, InputError, TrainingError
from workbench.training.fit import Batch, fit
from workbench.training.fit_config import FitConfig
from workbench.training.scores import wilson_interval
from workbench.training.supervised import (
    classification_metrics,
    train_classifier,
)


def whole(inputs: torch.Tensor, targets: torch.Tensor) -> Batch:
    """All rows at every step."""
    return lambda step: (inputs, targets)


class Answers(nn.Module):
    """Reads the class it answers with from its input."""

    def forward(self, inputs: Tensor) -> Tensor:
        return 50.0 * one_hot(inputs[:, 0].long(), 3).float()


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_accuracy_counts_right_answers_whatever_the_batch_size(batch_size: int) -> None:
    answers = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1]).float()[:, None]
    targets = torch.tensor([0, 1, 2, 0, 1, 2, 1, 2])
    metrics = classification_metrics(Answers(), answers, targets, batch_size)
    assert metrics["test_accuracy"]["value"] == 6 / 8
    assert metrics["test_accuracy"]["n"] == 8
    assert metrics["test_accuracy"]["interval"] == wilson_interval(6, 8)
    assert metrics["test_loss"]["value"] == pytest.approx(50 * 2 / 8)


@pytest.mark.parametrize("training", [True, False])
def test_measuring_leaves_the_mode_as_it_was_and_ignores_dropout(training: bool) -> None:
    model = nn.Sequential(nn.Dropout(0.9), Answers()).train(training)
    answers = torch.tensor([1, 2, 1, 2]).float()[:, None]
    metrics = classification_metrics(model, answers, answers[:, 0].long())
    assert metrics["test_accuracy"]["value"] == 1
    assert model.training is training


def test_label_smoothing_has_the_smoothed_targets_as_its_optimum() -> None:
    logits = nn.Linear(1, 4, bias=False)
    batch = whole(torch.ones(1, 1), torch.tensor([2]))
    train_classifier(logits, batch, FitConfig(steps=300, lr=0.1, schedule="linear"), label_smoothing=0.4)
    expected = [0.1, 0.1, 0.7, 0.1]
    assert logits(torch.ones(1, 1)).softmax(1)[0].tolist() == pytest.approx(expected, abs=1e-3)
    with pytest.raises(ConfigError, match=r"label_smoothing=1\.5"):
        train_classifier(logits, batch, FitConfig(), label_smoothing=1.5)


def test_images_run_channels_last_and_the_model_is_handed_back_contiguous() -> None:
    seen = []
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Flatten(), nn.Linear(48, 3))
    model[0].register_forward_pre_hook(
        lambda conv, inputs: seen.append(
            inputs[0].is_contiguous(memory_format=torch.channels_last)
            and conv.weight.is_contiguous(memory_format=torch.channels_last)
        )
    )
    batch = whole(torch.randn(5, 2, 6, 6), torch.tensor([0, 1, 2, 0, 1]))
    train_classifier(model, batch, FitConfig(steps=2))
    assert all(seen) and len(seen) == 2
    assert model[0].weight.is_contiguous()


@pytest.mark.slow
def test_the_embedded_digits_are_learned() -> None:
    from sklearn.datasets import load_digits

    digits = load_digits()
    inputs, targets = torch.tensor(digits.data, dtype=torch.float32) / 16, torch.tensor(digits.target)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    cfg = FitConfig(steps=200, lr=0.01, schedule="cosine", evaluate_every=100, log_every=50)
    curve = train_classifier(model, whole(inputs[:1400], targets[:1400]), cfg, (inputs[1400:], targets[1400:]))
    assert curve.last("test_accuracy") > 0.88
    assert [step for step, _ in curve.points("test_accuracy")] == [100, 200]
    assert math.isfinite(curve.last("test_loss"))


@pytest.mark.parametrize(("name", "place"), [("inputs", [3, 1]), ("targets", [3])])
def test_a_value_of_the_data_that_is_not_finite_is_named_with_its_place(name: str, place: list[int]) -> None:
    data = {"inputs": torch.randn(5, 2), "targets": torch.randn(5)}
    data[name][tuple(place)] = torch.nan
    model = nn.Linear(2, 1)
    before = model.weight.detach().clone()
    with pytest.raises(
        TrainingError, match=re.escape(f"step 1: the {name} of its batch hold nan at {place}. Correct the")
    ):
        fit(
            model,
            lambda step: (data["inputs"], data["targets"]),
            lambda y, t: (y[:, 0] - t).square().mean(),
            FitConfig(),
        )
    assert torch.equal(model.weight, before)


def test_a_test_example_that_is_not_finite_is_named() -> None:
    inputs = torch.randn(5, 2)
    inputs[3, 1] = torch.inf
    with pytest.raises(InputError, match="loss of test example 3 is nan"):
        classification_metrics(nn.Linear(2, 3), inputs, torch.zeros(5, dtype=torch.long))
