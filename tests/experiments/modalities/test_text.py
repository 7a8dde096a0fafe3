"""Tests of inputs of networks trained on algorithmic tasks: rows, corrupted rows, prompts."""

from __future__ import annotations

import pytest
import torch

from workbench.checkpoints.store import load
from workbench.core.errors import InputError
from workbench.experiments.computing import metric_of
from workbench.experiments.inputs.reading import read_inputs
from workbench.experiments.questions.defaults import default_corrupted, presets

every_task = pytest.mark.parametrize("name", ["modular_addition_gpt", "induction_gpt", "ioi_gpt"])


@every_task
def test_the_network_answers_every_preset_and_its_counterpart_otherwise(name: str) -> None:
    model = load(name)
    for preset in presets(name):
        clean = read_inputs(preset.inputs, model)
        other = read_inputs(preset.corrupted, model, clean)
        answers, others = (model(batch.inputs)[:, -1].argmax(dim=-1) for batch in (clean, other))
        assert (answers != others).all()
        if clean.targets is not None:
            assert (answers == clean.targets).float().mean() > 0.95


@every_task
def test_a_seed_gives_the_same_counterparts_and_they_are_nothing_alone(name: str) -> None:
    model = load(name)
    clean = read_inputs("test:0:5", model)
    one, again = (read_inputs("other:3", model, clean).labels for _ in range(2))
    assert one == again and not set(one) & set(clean.labels)
    with pytest.raises(InputError, match="cannot stand alone"):
        read_inputs("other:3", model)
    with pytest.raises(InputError, match="cannot be read. Write other:SEED"):
        read_inputs("other:three", model, clean)


def test_rows_and_prompts_of_later_years_know_every_right_answer() -> None:
    model = load("greater_than_gpt")
    for preset in presets("greater_than_gpt"):
        clean = read_inputs(preset.inputs, model)
        metric = metric_of("probability_difference", model, clean, None)
        other = read_inputs(preset.corrupted, model, clean)
        assert metric(model(clean.inputs)).max() > 0.85
        assert len(other.inputs) == len(clean.inputs) and not torch.equal(other.inputs, clean.inputs)


def test_sums_are_written_with_a_plus_and_answered() -> None:
    model = load("modular_addition_gpt")
    batch = read_inputs("text:7 + 12 =||58 + 3 =", model)
    assert [model.tokenizer.tokens[i] for i in model(batch.inputs)[:, -1].argmax(dim=-1)] == ["19", "2"]


def test_short_sentences_are_filled_up_as_in_training() -> None:
    model = load("ioi_gpt")
    batch = read_inputs("text:When Mary and John went to the shop , Mary gave a book to", model)
    assert batch.inputs.shape == (1, 24) and batch.tokens[0][0] == "^"
    assert model.tokenizer.tokens[int(model(batch.inputs)[0, -1].argmax())] == "John"


def test_other_rows_of_a_task_have_counterparts_too() -> None:
    assert default_corrupted("ioi_gpt", "test:5:9") == "other:0"


@pytest.mark.needs_data("tiny_shakespeare")
def test_windows_of_text_have_others_of_the_text_to_which_the_model_answers_otherwise() -> None:
    model = load("shakespeare_gpt")
    clean = read_inputs("test:0:4", model)
    other = read_inputs("other:0", model, clean)
    answers, others = (model(batch.inputs)[:, -1].argmax(dim=-1) for batch in (clean, other))
    assert (answers != others).all() and other.inputs.shape == clean.inputs.shape
