"""Question answering as text: questions, data sets of them, and batches in which only answers are scored."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from workbench.core.errors import InputError, short
from workbench.core.random import generator
from workbench.data.tasks.sequences import UNSCORED
from workbench.data.text.byte_pairs import END_OF_TEXT
from workbench.data.text.tokenizers import Tokenizer

Rows = tuple[Int[Tensor, "row pos"], Int[Tensor, "row pos"]]
"""Tokens, and at each position the next token if it belongs to an answer, else UNSCORED."""


@dataclass(frozen=True)
class Question:
    """Prompt and answer. The answer is one of `choices`, or free if there are none."""

    prompt: str
    answer: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class QuestionData:
    """Training, validation and test questions."""

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


def padding_token(tokenizer: Tokenizer) -> int:
    """Return the token for padding on the left: the end of the preceding text."""
    return tokenizer.tokens.index(END_OF_TEXT)


def pad_left(rows: Sequence[Int[Tensor, " _pos"]], filling: int) -> Int[Tensor, "row pos"]:
    """Stack rows of different lengths, padded on the left."""
    longest = max(map(len, rows))
    return torch.stack([torch.cat([row.new_full((longest - len(row),), filling), row]) for row in rows])


def encode_answers(pairs: Sequence[tuple[str, str]], tokenizer: Tokenizer) -> Rows:
    """Tokenize prompts with their answers, and score the tokens of the answers.

    Returns:
        Inputs without the last token, and at each position the next token or UNSCORED.

    Raises:
        InputError: If a prompt or an answer is empty, or holds the token for padding.
    """
    rows, scored = [], []
    for prompt, answer in pairs:
        for text, what in ((prompt, "prompt"), (answer, "answer")):
            if not text or END_OF_TEXT in text:
                raise InputError(
                    f"The {what} {short(text)} of a question is empty or holds {END_OF_TEXT}, which fills up short "
                    f"questions, so that nothing of it would be scored. Write another {what}."
                )
        parts = tokenizer.encode(prompt), tokenizer.encode(answer)
        rows.append(torch.cat(parts))
        scored.append(torch.cat([torch.full_like(parts[0], UNSCORED), parts[1]]))
    return pad_left(rows, padding_token(tokenizer))[:, :-1], pad_left(scored, UNSCORED)[:, 1:]


def question_batches(
    questions: Sequence[Question], tokenizer: Tokenizer, batch_size: int, seed: int, longest: int
) -> Callable[[int], Rows]:
    """Return a function from a step to its batch of questions, drawn with replacement.

    Rows longer than `longest` tokens lose their beginning. Batches depend only on (seed, step).
    """

    def batch(step: int) -> Rows:
        drawn = torch.randint(len(questions), (batch_size,), generator=generator(seed, "questions", step)).tolist()
        inputs, targets = encode_answers([(questions[i].prompt, questions[i].answer) for i in drawn], tokenizer)
        scored = (targets != UNSCORED).sum(dim=1)
        row = int(scored.argmax())
        if scored[row] > longest:
            raise InputError(
                f"The answer {short(questions[drawn[row]].answer)} has {int(scored[row])} tokens; the network reads "
                f"{longest}. Leave the question out, or choose a larger n_ctx."
            )
        return inputs[:, -longest:], targets[:, -longest:]

    return batch
