"""Text for a language model: prompts, windows of the text it was trained on, sequences of a task it learned."""

from __future__ import annotations

from inspect import unwrap
from math import isinf
from typing import Any, get_type_hints

import torch
from jaxtyping import Int
from torch import Tensor

from workbench.core.errors import InputError
from workbench.core.random import generator
from workbench.core.registry import DATASETS
from workbench.data.questions import QuestionData, pad_left, padding_token
from workbench.data.sequences import SequenceData
from workbench.data.text_data import TextData
from workbench.experiments.batches import ALSO, FORMS, Batch, Request, cut, numbers, row_match
from workbench.experiments.budget import current
from workbench.experiments.data_contents import data_set

WINDOW = 64
"""Tokens in one row of a text data set, at most."""
BYTES = 4
"""Bytes of one character, at most, and so its tokens."""
SLACK = 100
"""Tokens at the end of a piece of text that may change with what follows it."""


def prompts(request: Request) -> Batch:
    """Prompts of one length in tokens."""
    model, texts = request.model, request.rest.split(ALSO)
    tokens = [encoded(text, model) for text in texts]
    longest = max(map(len, tokens))
    if longest > model.cfg.n_ctx:
        raise InputError(f"The prompt has {longest} tokens; this model reads at most {model.cfg.n_ctx}. Shorten it.")
    for text, ids in zip(texts, tokens, strict=True):
        if len(ids) != len(tokens[0]):
            raise InputError(
                f"Prompts of one batch need the same number of tokens: {texts[0]!r} has {len(tokens[0])}, "
                f"{text!r} has {len(ids)}. Reword one of them, or ask them one at a time."
            )
    return of_tokens(torch.stack(tokens), None, model, "prompts" if len(texts) > 1 else "a prompt")


def encoded(text: str, model: Any) -> Int[Tensor, " pos"]:
    """The tokens of a prompt, filled up as in training where a network learned a task of sequences."""
    ids, name = model.tokenizer_or_raise().encode(text), model.card.data.name
    return data_set(name).tokenizer.filled(ids) if is_task(name) else ids


def is_task(name: str) -> bool:
    """Whether a data set is of sequences made in code; it is not read for this."""
    return name in DATASETS and get_type_hints(unwrap(DATASETS[name])).get("return") is SequenceData


def text_rows(request: Request) -> Batch:
    """Consecutive windows of the model's own text; the target is the token that follows each."""
    model, match = request.model, row_match(request)
    data: TextData | SequenceData | QuestionData = data_set(model.card.data.name)
    if match["name"] or match["known"]:
        raise InputError(f"{data.name} has no classes and no known answers. Write {FORMS['train']}.")
    if isinstance(data, SequenceData):
        return sequence_rows(request, data)
    if isinstance(data, QuestionData):
        return question_rows(request, data)
    split = "validation" if request.source == "test" else "train"
    length = min(model.cfg.n_ctx, WINDOW)
    text, start, most = getattr(data, split), int(match["start"] or 0), current().rows
    if start * length > BYTES * len(text):
        raise InputError(
            f"Row {start:,} does not exist: the {split} text of {data.name} has {len(text):,} characters, and a row "
            f"{length} tokens. Choose an earlier row."
        )
    stop = int(match["stop"]) if match["stop"] else start + most if match["range"] else start + 1
    request.progress(0, 1)
    needed = None if isinf(stop) else (int(stop) + 1) * length + 1  # None: all of the text
    tokens = first_tokens(text, model.tokenizer_or_raise(), needed)
    chosen = cut(match, (len(tokens) - 1) // length, f"the {split} text of {data.name}")
    first, last = chosen.start * length, chosen.stop * length
    note = f"{data.name}, {split} windows {chosen.start} to {chosen.stop - 1} of {length} tokens"
    targets = tokens[first + length : last + 1 : length]
    return of_tokens(tokens[first:last].reshape(-1, length), targets, model, note)


def question_rows(request: Request, data: QuestionData) -> Batch:
    """Questions, shorter ones filled up before them; the target is the first token of the answer."""
    tokenizer, match = request.model.tokenizer_or_raise(), row_match(request)
    questions = data.test if request.source == "test" else data.train
    chosen = cut(match, len(questions), f"the {request.source} split of {data.name}")
    some = questions[chosen]
    prompts = pad_left([tokenizer.encode(q.prompt) for q in some], padding_token(tokenizer))
    targets = torch.stack([tokenizer.encode(q.answer)[0] for q in some])
    note = f"{data.name}, {request.source} questions {chosen.start} to {chosen.stop - 1}"
    return of_tokens(prompts, targets, request.model, note)


def sequence_rows(request: Request, data: SequenceData) -> Batch:
    """Sequences of a task; the target is what the last token is to be followed by."""
    test, match = request.source == "test", row_match(request)
    inputs, targets = (data.test_inputs, data.test_targets) if test else (data.train_inputs, data.train_targets)
    chosen = cut(match, len(inputs), f"the {request.source} split of {data.name}")
    note = f"{data.name}, {request.source} rows {chosen.start} to {chosen.stop - 1}"
    return of_tokens(inputs[chosen], targets[chosen, -1], request.model, note)


def counterparts(request: Request) -> Batch:
    """For each clean sequence of a task one of another answer, by the rule of its data set."""
    if request.clean is None:
        raise InputError("Sequences of another answer need clean ones: 'other' cannot stand alone.")
    (seed,) = numbers(request)
    if not is_task(name := request.model.card.data.name):
        raise InputError(f"{name} is text without questions and answers. Give prompts, as {FORMS['text']}.")
    data: SequenceData = data_set(name)
    other = data.counterpart(request.clean.inputs, generator(seed, "counterparts"))
    return of_tokens(other, None, request.model, "the same with another answer")


def first_tokens(text: str, tokenizer: Any, n: int | None) -> Int[Tensor, " pos"]:
    """The first `n` tokens of a text (None: all; fewer when it is shorter), encoding little more of it."""
    if n is None:
        return tokenizer.encode(text)
    characters = 4 * n + 10 * SLACK
    while True:
        tokens = tokenizer.encode(text[:characters])
        if characters >= len(text) or len(tokens) >= n + SLACK:
            return tokens[:n]
        characters *= 2


def of_tokens(ids: Int[Tensor, "batch pos"], targets: Int[Tensor, " batch"] | None, model: Any, note: str) -> Batch:
    """A batch of tokens with each of them as one reads it."""
    tokenizer = model.tokenizer_or_raise()
    labels, names = tuple(tokenizer.decode(row) for row in ids), tokenizer.tokens
    rule = data_set(name).right if is_task(name := model.card.data.name) else None
    tokens = tuple(tuple(names[i] for i in row) for row in ids.tolist())
    return Batch(ids, targets, labels, note, tokens, right=None if rule is None else rule(ids))
