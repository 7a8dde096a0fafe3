"""Text for a language model: prompts, windows of the text it was trained on, sequences of a task it learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from inspect import unwrap
from math import isinf
from typing import Any, get_type_hints

import torch
from jaxtyping import Int
from torch import Tensor

from workbench.core.errors import InputError
from workbench.core.random import generator
from workbench.core.registry import DATASETS
from workbench.data.tasks.sequences import SequenceData
from workbench.data.text.questions import QuestionData, pad_left, padding_token
from workbench.data.text.text_data import TextData
from workbench.experiments.inputs.batches import ALSO, FORMS, Batch, Request, cut, other_answers, row_match
from workbench.experiments.inputs.prompts import ready_prompts
from workbench.experiments.questions.budget import current
from workbench.experiments.store.data_contents import data_set

WINDOW = 64
"""Tokens in one row of a text data set, at most."""
BYTES = 4
"""Bytes of one character, at most, and so its tokens."""
CANDIDATES = 256
"""Questions or windows among which a text of another answer is looked for."""
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


def ready(request: Request) -> Batch:
    """Some of the ready-made prompts for this model."""
    model, match = request.model, row_match(request)
    if match["name"]:
        raise InputError(f"Prompts have no classes. Write {FORMS['prompts']}.")
    found = ready_prompts(model.card, model.tokenizer_or_raise())
    chosen = cut(match, len(found.prompts), "the ready-made prompts of one length")
    return of_prompts(found.prompts[chosen], model, found.verdicts)


def of_prompts(texts: Sequence[str], model: Any, verdicts: Sequence[str] = ()) -> Batch:
    """A batch of prompts; two verdicts are the right choice after each of them and the wrong one."""
    tokenizer = model.tokenizer_or_raise()
    batch = of_tokens(torch.stack([tokenizer.encode(text) for text in texts]), None, model, "ready-made prompts")
    if not verdicts:
        return batch
    right, wrong = (tokenizer.encode(word)[0].repeat(len(texts)) for word in verdicts)
    return replace(batch, targets=right, foils=wrong)


def counterparts(request: Request) -> Batch:
    """For each clean text one of another answer, of as many tokens.

    A sequence of a task is changed by the rule of its data set. Any other text gets the one most like it, token by
    token, of those to which the model gives another answer: of the ready-made prompts when it is one of them, else of
    the questions or windows of the model's own data.
    """
    seed = request.seed_of_others("texts of another answer")
    model, clean = request.model, request.clean
    assert clean is not None, "seed_of_others has checked it"
    if is_task(model.card.data.name):
        data: SequenceData = data_set(model.card.data.name)
        other = data.counterpart(clean.inputs, generator(seed, "counterparts"))
        return of_tokens(other, None, model, "the same with another answer")
    candidates = prompts_like(clean, model)
    if isinstance(candidates, Batch):
        return candidates
    if candidates is None:
        candidates = texts_like(clean, request)
    alike = (clean.inputs[:, None] == candidates[None]).sum(dim=2).float()
    return of_tokens(candidates[other_answers(request, candidates, alike)], None, model, "texts of another answer")


def prompts_like(clean: Batch, model: Any) -> Batch | Int[Tensor, "candidate pos"] | None:
    """The ready-made prompts when all of these are among them; their counterparts where each has one of its own."""
    tokenizer = model.tokenizer_or_raise()
    try:
        found = ready_prompts(model.card, tokenizer)
    except InputError:
        return None
    rows = torch.stack([tokenizer.encode(text) for text in found.prompts])
    if rows.shape[1] != clean.inputs.shape[1]:
        return None
    same = (clean.inputs[:, None] == rows[None]).all(dim=2)
    if not same.any(dim=1).all():
        return None
    if found.others:
        return of_prompts([found.others[i] for i in same.long().argmax(dim=1).tolist()], model)
    return rows


def texts_like(clean: Batch, request: Request) -> Int[Tensor, "candidate pos"]:
    """Test questions that fit the clean ones' length, or validation windows of that length."""
    model, length = request.model, clean.inputs.shape[1]
    if (name := model.card.data.name) not in DATASETS:
        raise InputError(f"{name} is no data set here, so nothing is known that corrupts this. Write text:PROMPT.")
    data: TextData | QuestionData = data_set(name)
    tokenizer = model.tokenizer_or_raise()
    if isinstance(data, QuestionData):
        filling = padding_token(tokenizer)
        asked = [tokenizer.encode(question.prompt) for question in data.test[:CANDIDATES]]
        fitting = [clean.inputs.new_full((length,), filling), *(ids for ids in asked if len(ids) <= length)]
        return pad_left(fitting, filling)[1:]
    tokens = first_tokens(data.validation, tokenizer, CANDIDATES * length)
    return tokens[: len(tokens) // length * length].reshape(-1, length)


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
