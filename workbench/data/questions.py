"""Questions in plain text with an answer: tasks that a language model is fine-tuned on, whatever its tokens are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from workbench.core.random import generator
from workbench.data.sequences import UNSCORED
from workbench.data.tokenizers import END_OF_TEXT, Tokenizer

Rows = tuple[Int[Tensor, "row pos"], Int[Tensor, "row pos"]]
"""Tokens, and at each position the token that follows where it belongs to an answer, else UNSCORED."""


@dataclass(frozen=True)
class Question:
    """A text, and how it goes on: `answer` is one of `choices`, or free when there are none."""

    prompt: str
    answer: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class QuestionData:
    """Questions to train on, to choose settings by, and to test."""

    name: str
    train: tuple[Question, ...]
    validation: tuple[Question, ...]
    test: tuple[Question, ...]
    source: str
    licence: str
    note: str = ""

    @property
    def sha256(self) -> str:
        """Hash of all questions in order."""
        splits = [[asdict(question) for question in split] for split in (self.train, self.validation, self.test)]
        return hashlib.sha256(json.dumps(splits).encode()).hexdigest()


def filling_of(tokenizer: Tokenizer) -> int:
    """The token put in front of shorter texts: the end of the text before."""
    return tokenizer.tokens.index(END_OF_TEXT)


def filled_before(rows: Sequence[Int[Tensor, " _pos"]], filling: int) -> Int[Tensor, "row pos"]:
    """Rows of one length that end where they ended."""
    longest = max(map(len, rows))
    return torch.stack([torch.cat([row.new_full((longest - len(row),), filling), row]) for row in rows])


def answered(pairs: Sequence[tuple[str, str]], tokenizer: Tokenizer) -> Rows:
    """Prompts with their answers, of which each token is scored; all but the last token is read."""
    rows, scored = [], []
    for prompt, answer in pairs:
        parts = tokenizer.encode(prompt), tokenizer.encode(answer)
        rows.append(torch.cat(parts))
        scored.append(torch.cat([torch.full_like(parts[0], UNSCORED), parts[1]]))
    return filled_before(rows, filling_of(tokenizer))[:, :-1], filled_before(scored, UNSCORED)[:, 1:]


def question_batches(
    questions: Sequence[Question], tokenizer: Tokenizer, batch_size: int, seed: int, longest: int
) -> Callable[[int], Rows]:
    """A function from a step to its batch, a pure function of (seed, step); drawn with replacement.

    Of rows of more than `longest` tokens the end is left, where the answer is.
    """

    def batch(step: int) -> Rows:
        drawn = torch.randint(len(questions), (batch_size,), generator=generator(seed, "questions", step)).tolist()
        inputs, targets = answered([(questions[i].prompt, questions[i].answer) for i in drawn], tokenizer)
        return inputs[:, -longest:], targets[:, -longest:]

    return batch
