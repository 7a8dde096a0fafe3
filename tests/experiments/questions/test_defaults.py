"""Tests of default inputs, corruptions, metrics and presets of every model."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from workbench.checkpoints.card import model_folder, read_card
from workbench.checkpoints.store import load
from workbench.core.errors import InputError
from workbench.experiments.computing import metric_of
from workbench.experiments.inputs.prompt_presets import PAIRS, tokenizer_of
from workbench.experiments.inputs.prompts import ready_prompts
from workbench.experiments.inputs.reading import read_inputs
from workbench.experiments.questions.defaults import (
    default_corrupted,
    default_inputs,
    default_metric,
    presets,
)


@pytest.mark.parametrize("name", ["digits", "text", "policy"])
def test_every_preset_is_a_clean_and_a_different_corrupted_batch_of_one_shape(workspace: Path, name: str) -> None:
    model = load(name)
    for preset in presets(name):
        clean = read_inputs(preset.inputs, model)
        corrupted = read_inputs(preset.corrupted, model, clean)
        assert not (clean.inputs == corrupted.inputs).flatten(1).all(1).any()


def test_prompts_differ_only_in_what_the_answer_depends_on() -> None:
    assert all(len(clean) == len(other) and clean != other for clean, other in PAIRS)


def test_a_model_of_characters_is_first_asked_for_letters(workspace: Path) -> None:
    assert default_inputs("text") == "prompts:0:16"
    assert read_inputs("prompts:0:2", load("text")).labels == ("I saw the kin", "I saw the que")
    assert presets("text")[1].inputs.startswith("text:The king is dead")


@pytest.mark.parametrize("name", ["digits", "policy", "text"])
def test_the_model_answers_the_usual_corrupted_inputs_otherwise_so_every_example_moves_one_way(
    workspace: Path, name: str
) -> None:
    model, preset = load(name), presets(name)[0]
    clean = read_inputs(preset.inputs, model)
    other = read_inputs(preset.corrupted, model, clean)
    metric = metric_of(default_metric(name, contrast=True), model, replace(clean, targets=None), other)
    with torch.no_grad():
        assert (metric(model(clean.inputs)) > metric(model(other.inputs))).all() or name == "digits"
    again, another = (read_inputs(seed, model, clean).labels for seed in ("other:0", "other:1"))
    assert other.labels == again != another


def test_a_policy_with_one_answer_has_no_other_and_says_so(workspace: Path) -> None:
    model = load("policy")
    with torch.no_grad():
        model.actor.readout.weight.zero_()
        model.actor.readout.bias.copy_(torch.tensor([5.0, 0.0]))
    clean = read_inputs("rollout:0:4", model)
    with pytest.raises(InputError, match=r"gives the answer 0 to all \d+ inputs.*of your own"):
        read_inputs("other:0", model, clean)


@pytest.mark.parametrize("name", ["stories_gpt", "stories_gpt_classifier", "stories_gpt_qa", "stories_gpt_translation",
                                  "shakespeare_gpt", "tales_gpt", "tales_reward"])  # fmt: skip
def test_every_language_model_has_sixteen_prompts_of_one_length_or_more(name: str) -> None:
    found = ready_prompts(read_card(name), tokenizer := tokenizer_of(model_folder(name) / "tokenizer.json"))
    assert len(found.prompts) >= 16 and len(set(found.prompts)) == len(found.prompts)
    assert len({len(tokenizer.encode(prompt)) for prompt in (*found.prompts, *found.others)}) == 1
    assert (name == "tales_reward") == bool(found.others and found.verdicts)


def test_the_usual_metric_follows_from_the_card() -> None:
    assert default_metric("mnist_vae", contrast=True) == "reconstruction"
    assert default_metric("greater_than_gpt", contrast=True) == "probability_difference"
    assert default_metric("cartpole_dqn", contrast=True) == "logit_difference"
    assert all(default_metric(name, contrast=False) == "logit" for name in ("mnist_vae", "ioi_gpt"))


def test_a_reward_model_is_asked_for_its_reward() -> None:
    model = load("tales_reward")
    clean = read_inputs("prompts:0:4", model)
    other = read_inputs("other:0", model, clean)
    metric = metric_of("logit_difference", model, clean, other)
    good, bad = (int(model.tokenizer.encode(word)[0]) for word in (" good", " bad"))
    with torch.no_grad():
        logits = model(clean.inputs)[:, -1]
        assert torch.equal(metric(model(clean.inputs)), logits[:, good] - logits[:, bad])
        assert (metric(model(clean.inputs)) > metric(model(other.inputs))).all()


def test_other_inputs_have_their_usual_corruption_too(workspace: Path) -> None:
    assert default_corrupted("digits", "test:5:9") == "other:0"
    assert default_corrupted("policy", "rollout:7:3:5") == "other:0"
    assert default_corrupted("text", "test:3:9") == "other:0"
    assert default_corrupted("text", "text:ab||cd||ef") == "text:cd||ef||ab"


def test_a_single_prompt_needs_to_be_told_what_corrupts_it(workspace: Path) -> None:
    with pytest.raises(InputError, match="would corrupt 'text:ab'"):
        default_corrupted("text", "text:ab")
