"""Tests of metrics against their definitions on known logits."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
from torch.testing import assert_close

from workbench.analysis.circuits.resampling import metric_of
from workbench.core.errors import InputError
from workbench.core.metrics import METRICS, SIGNED, Logit, Question, logits_of, name_of, runner_up

LOGITS = torch.tensor([[1.0, 3.0, 2.0], [0.5, 0.0, -1.0]])


def value(name: str, output: object, corrupted: object = None) -> torch.Tensor:
    return METRICS[name](Question(LOGITS, corrupted))(output)


def test_named_metrics_equal_their_definitions() -> None:
    p = LOGITS.softmax(-1)
    assert_close(value("logit", LOGITS), torch.tensor([3.0, 0.5]))
    assert_close(value("logit_difference", LOGITS), torch.tensor([1.0, 0.5]))
    assert_close(value("probability", LOGITS), torch.tensor([p[0, 1], p[1, 0]]))
    assert_close(value("loss", LOGITS), -torch.tensor([p[0, 1], p[1, 0]]).log())
    assert_close(value("correct", LOGITS.flip(1)), torch.tensor([1.0, 0.0]))
    other = LOGITS.flip(0)
    q = other.softmax(-1)
    assert_close(value("kl", other), (p * (p / q).log()).sum(-1))
    assert_close(value("kl", LOGITS), torch.zeros(2))


def test_the_foil_is_the_corrupted_choice_unless_it_is_the_target() -> None:
    corrupted = torch.tensor([[9.0, 0.0, 0.0], [9.0, 0.0, 0.0]])
    assert Question(LOGITS, corrupted).foil.tolist() == [0, 1]
    assert runner_up(LOGITS, torch.tensor([1, 0])).tolist() == [2, 1]


def test_a_language_model_is_measured_at_its_last_position() -> None:
    sequence = torch.stack([torch.zeros(2, 3), LOGITS], dim=1)
    assert torch.equal(logits_of(sequence), LOGITS)


def test_a_signed_metric_turns_each_example_so_that_its_own_difference_is_positive() -> None:
    corrupted = LOGITS.flip(0)
    q = Question(LOGITS, corrupted)
    for name in SIGNED[:2]:
        plain, signed = METRICS[name](q), METRICS[f"signed_{name}"](q)
        own = plain(LOGITS) - plain(corrupted)
        assert_close(signed(LOGITS) - signed(corrupted), own.abs())
        assert_close(signed(corrupted).abs(), plain(corrupted).abs())
    assert name_of(METRICS["signed_logit"](q)) == "SignedLogit" and name_of(Logit(LOGITS.argmax(1))) == "Logit"
    with pytest.raises(InputError, match="signed_logit takes its signs from corrupted inputs"):
        METRICS["signed_logit"](Question(LOGITS))


def test_a_signed_metric_is_drawn_with_its_examples() -> None:
    metric = METRICS["signed_logit"](Question(LOGITS, LOGITS.flip(0)))
    rows = torch.tensor([1, 1, 0])
    assert_close(metric_of(metric, rows, 2)(LOGITS[rows]), metric(LOGITS)[rows])


def test_given_foils_are_compared_with() -> None:
    q = Question(LOGITS, LOGITS.flip(0), targets=torch.tensor([0, 0]), foils=torch.tensor([2, 2]))
    assert_close(METRICS["logit_difference"](q)(LOGITS), torch.tensor([-1.0, 1.5]))


def test_an_output_without_logits_or_value_says_so() -> None:
    with pytest.raises(InputError, match="no logits"):
        logits_of(SimpleNamespace(x=1))
    with pytest.raises(InputError, match="no critic"):
        value("value", LOGITS)


def test_the_share_of_several_right_choices_is_taken_within_each_example() -> None:
    right = torch.tensor([[True, False, True], [False, True, False]])
    p = LOGITS.softmax(-1)
    expected = torch.stack([p[0, 0] + p[0, 2] - p[0, 1], p[1, 1] - p[1, 0] - p[1, 2]])
    assert_close(METRICS["probability_difference"](Question(LOGITS, several=right))(LOGITS), expected)
    assert_close(value("probability_difference", LOGITS), 2 * p.amax(dim=1) - 1)  # its own choice is the right one


def test_an_autoencoder_is_measured_in_nats_per_image() -> None:
    images = torch.tensor([[[[1.0, 0.0]]], [[[0.0, 0.0]]]])
    output = SimpleNamespace(
        logits=torch.tensor([[2.0, -1.0], [0.5, 0.0]]),
        mean=torch.tensor([[1.0, 2.0, 0.0], [0.0, 0.0, 0.0]]),
        log_variance=torch.tensor([[0.0, 0.0, math.log(4)], [0.0, 0.0, 0.0]]),
    )
    question = Question(output, inputs=images)
    p = output.logits.sigmoid()
    expected = torch.stack([p[0, 0].log() + (1 - p[0, 1]).log(), (1 - p[1, 0]).log() + (1 - p[1, 1]).log()])
    assert_close(METRICS["reconstruction"](question)(output), expected)
    assert_close(METRICS["divergence"](question)(output), torch.tensor([2.5 + 0.5 * (3 - math.log(4)), 0.0]))
