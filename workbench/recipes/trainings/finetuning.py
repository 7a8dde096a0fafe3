"""Fine-tuning of a language model to answer questions, with all its weights or adapters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence

from workbench.checkpoints.card import DataSource
from workbench.checkpoints.store import load
from workbench.core.errors import InputError
from workbench.core.hooked import HookedModel
from workbench.core.random import generator
from workbench.core.ranges import NonNegativeFloat, PositiveInt, check_fields
from workbench.core.registry import DATASETS
from workbench.data.tasks.sequences import UNSCORED
from workbench.data.text.questions import Question, QuestionData, Rows, pad_left, padding_token, question_batches
from workbench.recipes.recipe import Metrics, Recipe, Session, Trained
from workbench.recipes.trainings.pair_task import round_weights
from workbench.recipes.trainings.question_baselines import BASELINES
from workbench.training.fit import Batch, fit
from workbench.training.language_modelling import next_token_loss
from workbench.training.scores import share_score
from workbench.training.sequence_errors import error_rates
from workbench.zoo.layers.attention import KeyValueCache
from workbench.zoo.layers.sampling import SamplingConfig

AT_ONCE = 50
"""Questions answered in one batch."""
VALIDATED = 700
"""Questions per point of the curve."""
LONGEST = 120
"""Maximum length of a free answer in tokens."""


@dataclass(frozen=True)
class FineTuning:
    """Task of answering the questions of a data set.

    `lm_coef` is the weight of the cross entropy of the prompts' tokens, a regulariser (Radford et al. 2018, equation 5,
    with 0.5).
    """

    kind: ClassVar[type] = QuestionData
    """Type of the data sets that it can read."""

    data: str
    batch_size: PositiveInt
    lm_coef: NonNegativeFloat = 0.0

    def __post_init__(self) -> None:
        check_fields(self)

    def train(self, recipe: Recipe, model: HookedModel, session: Session) -> Trained:
        """Train on the cross entropy of answers; measure the trained model, the base model and simpler baselines."""
        data: QuestionData = DATASETS[self.data]()
        start: Any = load(recipe.based_on)
        inherit(model, start)
        tokenizer = start.tokenizer_or_raise()
        before = add_prefix("base", score_questions(start, data.test, tokenizer))
        batch = question_batches(data.train, tokenizer, self.batch_size, recipe.seed, model.cfg.n_ctx)
        batch, loss = add_prompts(batch, padding_token(tokenizer)), partial(question_loss, lm_coef=self.lm_coef)
        evaluate = partial(validate, questions=select_evenly(data.validation, VALIDATED), tokenizer=tokenizer)
        curve = fit(model, batch, loss, recipe.training, evaluate, session.state, session.progress, session.keep)
        round_weights(model, recipe.dtype)
        metrics = score_questions(model, data.test, tokenizer) | before
        for name, baseline in BASELINES.get(self.data, {}).items():
            metrics[f"{name}_accuracy"] = share_score(baseline(data.train, data.test))
        return Trained(curve, metrics, DataSource(data.name, data.sha256, data.note), tokenizer)

    def measure(self, recipe: Recipe, model: Any) -> Metrics:
        """Measure a trained model on the test questions."""
        return score_questions(model, DATASETS[self.data]().test, model.tokenizer_or_raise())


def add_prompts(batch: Callable[[int], Rows], filling: int) -> Batch:
    """Return batches whose targets are the tokens of the answers and those of the prompts."""

    def both(step: int) -> tuple[Int[Tensor, "row pos"], Int[Tensor, "row 2 pos"]]:
        inputs, answers = batch(step)
        following = torch.cat([inputs[:, 1:], answers[:, -1:]], dim=1)
        prompts = following.masked_fill((answers != UNSCORED) | (inputs == filling), UNSCORED)
        return inputs, torch.stack([answers, prompts], dim=1)

    return both


def question_loss(
    logits: Float[Tensor, "row pos vocab"], targets: Int[Tensor, "row 2 pos"], lm_coef: float
) -> Float[Tensor, ""]:
    """Cross entropy in nats of the answers' tokens plus `lm_coef` times that of the prompts'."""
    answers, prompts = targets.unbind(dim=1)
    loss = next_token_loss(logits, answers)
    return loss + lm_coef * next_token_loss(logits, prompts) if lm_coef else loss


@torch.no_grad()
def inherit(model: HookedModel, base: HookedModel) -> None:
    """Copy the base's weights into a model of the same sizes, which may have adapters."""
    weights = base.state_dict()
    names = getattr(model, "inherited", None) or {name: name for name in weights}
    model.load_state_dict({name: weights[there] for name, there in names.items()}, strict=False)


def add_prefix(prefix: str, metrics: dict[str, Any]) -> dict[str, Any]:
    """Prefix the names of metrics: `test_accuracy` becomes `base_accuracy`, `phoneme_error` `base_phoneme_error`."""
    return {f"{prefix}_{name.removeprefix('test_')}": metric for name, metric in metrics.items()}


def validate(model: nn.Module, questions: Sequence[Question], tokenizer: Any) -> dict[str, Any]:
    """Measure the model on validation questions."""
    return add_prefix("validation", score_questions(model, questions, tokenizer))


def select_evenly(questions: Sequence[Question], most: int) -> Sequence[Question]:
    """Select at most `most` questions at equal distances, since neighbours may be of one book."""
    n = min(most, len(questions))
    return [questions[i * len(questions) // n] for i in range(n)]


def score_questions(model: Any, questions: Sequence[Question], tokenizer: Any) -> dict[str, Any]:
    """Measure `test_accuracy` of questions with choices, or `phoneme_error` and `sentence_error` of free answers."""
    training = model.training
    model.eval()
    if questions[0].choices:
        metrics = {"test_accuracy": share_score(check_choices(model, questions, tokenizer))}
    else:
        given = free_answers(model, questions, tokenizer)
        metrics = error_rates(*number_words(given, [q.answer for q in questions]), "phoneme", "sentence")
    model.train(training)
    return metrics


def check_choices(model: Any, questions: Sequence[Question], tokenizer: Any) -> list[bool]:
    """Return for each question whether the most likely choice is the answer.

    Cost: A pass over every prompt, and one over its choices.
    """
    right = [False] * len(questions)
    order = sorted(range(len(questions)), key=lambda i: len(questions[i].prompt))
    for start in range(0, len(order), AT_ONCE):
        some = order[start : start + AT_ONCE]
        prompts = [tokenizer.encode(questions[i].prompt) for i in some]
        choices = [[tokenizer.encode(choice) for choice in questions[i].choices] for i in some]
        room = model.cfg.n_ctx - max(len(choice) for row in choices for choice in row)
        if room < 1:
            raise InputError(
                f"A choice of one of these questions has {model.cfg.n_ctx - room} tokens, and the network reads "
                f"{model.cfg.n_ctx}: no room is left for a prompt. Leave the question out."
            )
        read = pad_left([prompt[-room:] for prompt in prompts], padding_token(tokenizer))
        best = choice_likelihoods(model, read, choices).argmax(dim=1)
        for i, choice in zip(some, best.tolist(), strict=True):
            right[i] = questions[i].choices[choice] == questions[i].answer
    return right


@torch.no_grad()
def choice_likelihoods(
    model: Any, prompts: Int[Tensor, "row pos"], choices: Sequence[Sequence[Int[Tensor, " _"]]]
) -> Float[Tensor, "row choice"]:
    """Compute the log-probability (nats) of each choice, summed over its tokens; -inf for missing choices.

    Keys and values of a prompt are computed once for all of its choices.
    """
    found = torch.full((len(prompts), max(map(len, choices))), -torch.inf)
    caches = [KeyValueCache() for _ in model.blocks]
    after_prompt = model.extend(prompts, caches)[:, -1:]
    for place in range(found.shape[1]):
        there = torch.tensor([place < len(row) for row in choices])
        answers = pad_sequence([row[min(place, len(row) - 1)] for row in choices], True, UNSCORED)
        logits = [after_prompt]
        if answers.shape[1] > 1:
            logits.append(model.extend(answers[:, :-1].clamp_min(0), [replace(cache) for cache in caches]))
        losses = cross_entropy(torch.cat(logits, dim=1).transpose(1, 2), answers, reduction="none").sum(dim=1)
        found[there, place] = -losses[there]
    return found


def free_answers(model: Any, questions: Sequence[Question], tokenizer: Any) -> list[str]:
    """Generate greedy answers up to the end of the line."""
    end, given = int(tokenizer.encode("\n")[0]), []
    for start in range(0, len(questions), AT_ONCE):
        prompts = [tokenizer.encode(question.prompt) for question in questions[start : start + AT_ONCE]]
        room = min(LONGEST, model.cfg.n_ctx - max(map(len, prompts)))
        rows = model.complete(prompts, room, end, generator(0, "greedy"), SamplingConfig(temperature=0.0))
        written = [tokenizer.decode(row[len(prompt) :]) for row, prompt in zip(rows, prompts, strict=True)]
        given += [text.partition("\n")[0] for text in written]
    return given


def number_words(given: list[str], expected: list[str]) -> tuple[list[list[int]], list[list[list[int]]]]:
    """Convert answers and references to sequences of numbers, one for each distinct word."""
    ids: dict[str, int] = {}

    def numbers(text: str) -> list[int]:
        return [ids.setdefault(word, len(ids)) for word in text.split()]

    return list(map(numbers, given)), [[numbers(text)] for text in expected]
