"""Tests of fine-tuning a small random GPT on questions, with all weights and with adapters."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from workbench.checkpoints.card import Card, DataSource
from workbench.checkpoints.store import WEIGHTS, load, save
from workbench.core.registry import DATASETS
from workbench.core.tensor_file import unpack
from workbench.data.text.byte_pairs import BytePairTokenizer, train_bpe
from workbench.data.text.questions import Question, QuestionData, encode_answers, padding_token
from workbench.experiments.inputs.reading import read_inputs
from workbench.experiments.store.data_contents import forget
from workbench.recipes.recipe import Recipe, make
from workbench.recipes.trainings.finetuning import (
    FineTuning,
    add_prompts,
    check_choices,
    free_answers,
    number_words,
    question_loss,
    score_questions,
    select_evenly,
)
from workbench.training.curve import Curve
from workbench.training.fit import FitConfig
from workbench.training.language_modelling import next_token_loss
from workbench.zoo.gpt import GPT, GPTConfig
from workbench.zoo.lora_gpt import LoRAGPTConfig

COLOURS = {"apple": " red", "sky": " blue", "grass": " green"}
CHOICES = tuple(COLOURS.values())


@pytest.fixture(scope="session")
def tokenizer() -> BytePairTokenizer:
    return train_bpe("The apple is red, the sky is blue, the grass is green. Colour: " * 20, 300)


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tokenizer: BytePairTokenizer) -> GPTConfig:
    """A stored GPT, and questions about colours."""
    monkeypatch.setenv("WORKBENCH_MODELS", str(tmp_path))
    asked = tuple(
        Question(f"{'very ' * n}{thing}\nColour:", colour, CHOICES)
        for n in range(3)
        for thing, colour in COLOURS.items()
    )
    data = QuestionData("colours", asked, asked, asked, "", "")
    monkeypatch.setitem(DATASETS._items, "colours", lambda: data)
    torch.manual_seed(0)
    cfg = GPTConfig(tokenizer.vocab_size, 32, 1, 32, 2, tie_embeddings=True)
    save(
        tmp_path / "tiny",
        GPT(cfg),
        Card("gpt", "none", DataSource("x", "ab"), 0),
        Curve([1], {"loss": [1.0]}),
        tokenizer,
    )
    forget()
    yield cfg
    forget()


def recipe(cfg: GPTConfig, architecture: str) -> Recipe:
    training = FitConfig(steps=80, lr=1e-2 if architecture == "lora_gpt" else 3e-3, log_every=20)
    task = FineTuning("colours", batch_size=9)
    return Recipe("tuned", "", architecture, cfg, training, task.train, {"test_accuracy": 0.8}, based_on="tiny")


@pytest.mark.parametrize("architecture", ["gpt", "lora_gpt"])
def test_questions_are_learned_from_the_weights_of_another_checkpoint(
    base: GPTConfig, tmp_path: Path, architecture: str
) -> None:
    cfg = base if architecture == "gpt" else LoRAGPTConfig(**asdict(base), rank=4, base="tiny")
    card = make(recipe(cfg, architecture), tmp_path / "tuned")
    assert card.metrics["test_accuracy"].value > 0.8 > card.metrics["base_accuracy"].value
    model = load("tuned")
    again = score_questions(model, DATASETS["colours"]().test, model.tokenizer)
    assert again["test_accuracy"]["value"] == card.metrics["test_accuracy"].value
    held = unpack((tmp_path / "tuned" / WEIGHTS).read_bytes(), "")[0]
    adapters = [name for name in held if name.endswith((".down", ".up"))]
    assert len(adapters) == (0 if architecture == "gpt" else len(held))
    batch = read_inputs("test:0:9", model)
    assert batch.inputs[0, 0] == batch.inputs[3, 0] and batch.tokens[0][0] == "<|endoftext|>"
    assert batch.targets.tolist() == [int(model.tokenizer.encode(colour)[0]) for colour in COLOURS.values()] * 3


@torch.no_grad()
def test_a_choice_is_as_likely_as_all_its_tokens_together(base: GPTConfig) -> None:
    """The likeliest choice, by one pass over prompt and choice written out."""
    model = load("tiny")
    question = DATASETS["colours"]().test[0]
    likely = []
    for choice in CHOICES:
        prompt, answer = model.tokenizer.encode(question.prompt), model.tokenizer.encode(choice)
        logp = model(torch.cat([prompt, answer])[None, :-1]).log_softmax(dim=-1)[0, len(prompt) - 1 :]
        likely.append(float(logp.gather(1, answer[:, None]).sum()))
    best = CHOICES[likely.index(max(likely))]
    for answer in CHOICES:
        assert check_choices(model, [replace(question, answer=answer)], model.tokenizer) == [answer == best]


def test_prompts_count_beside_answers_and_what_fills_rows_up_counts_nowhere(base: GPTConfig) -> None:
    model = load("tiny")
    asked = DATASETS["colours"]().test[:3]
    inputs, targets = add_prompts(lambda step: encode_answers([(q.prompt, q.answer) for q in asked], model.tokenizer),
                                   padding_token(model.tokenizer))(0)  # fmt: skip
    with torch.no_grad():
        logits = model(inputs)
    for row, question in enumerate(asked):
        answer, prompt = (part[row][part[row] >= 0] for part in targets.unbind(dim=1))
        assert model.tokenizer.decode(answer) == question.answer
        assert question.prompt.endswith(model.tokenizer.decode(prompt)) and len(prompt) >= len(question.prompt.split())
    plain, both = (question_loss(logits, targets, lm_coef) for lm_coef in (0.0, 0.5))
    assert float(both - plain) == pytest.approx(0.5 * float(next_token_loss(logits, targets[:, 1])), rel=1e-5)


def test_free_answers_end_with_their_line_and_are_counted_by_words(base: GPTConfig) -> None:
    model = load("tiny")
    given = free_answers(model, [Question("sky\nColour:", " blue\n")], model.tokenizer)
    assert len(given) == 1 and "\n" not in given[0]
    assert number_words(["AA B", "B"], ["AA", "B C"]) == ([[0, 1], [1]], [[[0]], [[1, 2]]])


def test_questions_to_validate_by_come_from_everywhere() -> None:
    asked = [Question(str(i), "") for i in range(10)]
    assert [question.prompt for question in select_evenly(asked, 4)] == ["0", "2", "5", "7"]
    assert list(select_evenly(asked, 20)) == asked
