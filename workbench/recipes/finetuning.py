"""How a language model learns to answer questions: from the weights of another checkpoint, all of them or adapters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from workbench.checkpoints.card import DataSource
from workbench.checkpoints.store import load
from workbench.core.hooked import HookedModel
from workbench.core.registry import DATASETS
from workbench.data.questions import Question, QuestionData, answered, filled_before, filling_of, question_batches
from workbench.recipes.pair_task import round_weights
from workbench.recipes.question_baselines import BASELINES
from workbench.recipes.recipe import Metrics, Recipe, Session, Trained
from workbench.training.choices import answer_likelihoods, share_right
from workbench.training.fit import fit
from workbench.training.language_modelling import next_token_loss
from workbench.training.sequence_errors import error_rates
from workbench.zoo.layers.sampling import Sampling

AT_ONCE = 50
"""Questions answered in one go."""
VALIDATED = 300
"""Questions behind a point of the curve."""
LONGEST = 120
"""Tokens of a free answer, at most."""


@dataclass(frozen=True)
class FineTuning:
    """Which questions, rows in a batch."""

    data: str
    batch_size: int

    def train(self, recipe: Recipe, model: HookedModel, session: Session) -> Trained:
        """Cross entropy of the answers' tokens; how many are right after training, before it, and by simpler means."""
        data: QuestionData = DATASETS[self.data]()
        start: Any = load(recipe.based_on)
        inherit(model, start)
        tokenizer = start.tokenizer_or_raise()
        before = named("base", score(start, data.test, tokenizer))
        batch = question_batches(data.train, tokenizer, self.batch_size, recipe.seed)
        evaluate = partial(validation, questions=data.validation[:VALIDATED], tokenizer=tokenizer)
        curve = fit(
            model, batch, next_token_loss, recipe.training, evaluate, session.state, session.progress, session.keep
        )
        round_weights(model, recipe.dtype)
        metrics = score(model, data.test, tokenizer) | before
        for name, baseline in BASELINES.get(self.data, {}).items():
            metrics |= share_right(baseline(data.train, data.test), f"{name}_accuracy")
        return Trained(curve, metrics, DataSource(data.name, data.sha256, data.note), tokenizer)

    def measure(self, recipe: Recipe, model: HookedModel) -> Metrics:
        """How many of the test's questions a trained model answers rightly."""
        return score(model, DATASETS[self.data]().test, model.tokenizer_or_raise())


@torch.no_grad()
def inherit(model: HookedModel, base: HookedModel) -> None:
    """Puts the base's weights into a model of the same sizes, which may have adapters beside them."""
    weights = base.state_dict()
    names = getattr(model, "inherited", None) or {name: name for name in weights}
    model.load_state_dict({name: weights[there] for name, there in names.items()}, strict=False)


def named(prefix: str, metrics: dict[str, Any]) -> dict[str, Any]:
    """Metrics by longer names: `test_accuracy` becomes `base_accuracy`, `phoneme_error` `base_phoneme_error`."""
    return {f"{prefix}_{name.removeprefix('test_')}": metric for name, metric in metrics.items()}


def validation(model: nn.Module, questions: Sequence[Question], tokenizer: Any) -> dict[str, Any]:
    """The score on the questions that settings are chosen by."""
    return named("validation", score(model, questions, tokenizer))


def score(model: Any, questions: Sequence[Question], tokenizer: Any) -> dict[str, Any]:
    """`test_accuracy` of questions with choices; `phoneme_error` and `sentence_error` of those with free answers."""
    training = model.training
    model.eval()
    if questions[0].choices:
        metrics = share_right(chosen_rightly(model, questions, tokenizer), "test_accuracy")
    else:
        given = free_answers(model, questions, tokenizer)
        metrics = error_rates(*in_numbers(given, [q.answer for q in questions]), "phoneme", "sentence")
    model.train(training)
    return metrics


def chosen_rightly(model: Any, questions: Sequence[Question], tokenizer: Any) -> list[bool]:
    """Whether the likeliest choice is the answer, for each question. Costs a forward pass over every choice."""
    pairs = [(question.prompt, choice) for question in questions for choice in question.choices]
    order = sorted(range(len(pairs)), key=lambda i: len(pairs[i][0]))
    likely = torch.empty(len(pairs))
    for start in range(0, len(order), AT_ONCE):
        some = order[start : start + AT_ONCE]
        likely[some] = answer_likelihoods(model, *answered([pairs[i] for i in some], tokenizer))
    ends = torch.tensor([0, *(len(q.choices) for q in questions)]).cumsum(dim=0).tolist()
    best = [int(likely[low:high].argmax()) for low, high in pairwise(ends)]
    return [q.choices[i] == q.answer for q, i in zip(questions, best, strict=True)]


def free_answers(model: Any, questions: Sequence[Question], tokenizer: Any) -> list[str]:
    """What the model writes on greedily, up to the end of the line."""
    filling, given = filling_of(tokenizer), []
    for start in range(0, len(questions), AT_ONCE):
        rows = [tokenizer.encode(question.prompt) for question in questions[start : start + AT_ONCE]]
        prompts = filled_before(rows, filling)
        longest = min(LONGEST, model.cfg.n_ctx - prompts.shape[1])
        written = model.generate(prompts, longest, Sampling(temperature=0.0))[:, prompts.shape[1] :]
        given += [tokenizer.decode(row).partition("\n")[0] for row in written]
    return given


def in_numbers(given: list[str], wanted: list[str]) -> tuple[list[list[int]], list[list[list[int]]]]:
    """Answers and right answers as sequences of numbers, one for each different word."""
    ids: dict[str, int] = {}

    def numbers(text: str) -> list[int]:
        return [ids.setdefault(word, len(ids)) for word in text.split()]

    return list(map(numbers, given)), [[numbers(text)] for text in wanted]
