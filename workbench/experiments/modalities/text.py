"""Text: typed and ready-made prompts, windows of a training text, sequences of a task, questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import isinf
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from workbench.checkpoints.card import read_card
from workbench.core.errors import InputError, short
from workbench.core.random import generator
from workbench.core.registry import DATASETS, MODALITIES
from workbench.data.tasks.sequences import SequenceData
from workbench.data.text.questions import QuestionData, pad_left, padding_token
from workbench.data.text.text_data import TextData
from workbench.experiments.inputs.batches import Batch, Request, other_answers
from workbench.experiments.inputs.forms import Form, TextField
from workbench.experiments.inputs.language import Inputs, Rows, Seed, Source, Texts, always
from workbench.experiments.inputs.modality import OTHER, Modality, declared_type, with_axes
from workbench.experiments.inputs.prompt_presets import TASKS, prompt_presets
from workbench.experiments.inputs.prompts import ready_prompts
from workbench.experiments.inputs.views import VISIBLE, TokenView
from workbench.experiments.questions.budget import current
from workbench.experiments.store.data_contents import data_set

WINDOW = 64
"""Tokens in one row of a text data set, at most."""
BYTES = 4
"""Bytes, and so tokens, of one character at most."""
CANDIDATES = 256
"""Questions or windows that are searched for a text of another answer."""
SLACK = 100
"""Tokens at the end of a piece of text that may change with what follows it."""


def read_prompts(request: Request) -> Batch:
    """Read typed prompts, which need the same number of tokens."""
    model, texts = request.model, request.selection.texts
    tokens = [encode(text, model) for text in request.each(texts)]
    longest = max(map(len, tokens))
    if longest > model.cfg.n_ctx:
        raise InputError(f"The prompt has {longest} tokens; this model reads at most {model.cfg.n_ctx}. Shorten it.")
    for text, ids in zip(texts, tokens, strict=True):
        if len(ids) != len(tokens[0]):
            raise InputError(
                f"Prompts of one batch need the same number of tokens: {texts[0]!r} has {len(tokens[0])}, "
                f"{text!r} has {len(ids)}. Reword one of them, or ask them one at a time."
            )
    return batch_of_tokens(torch.stack(tokens), None, model, "prompts" if len(texts) > 1 else "a prompt")


def encode(text: str, model: Any) -> Int[Tensor, " pos"]:
    """Tokenize a prompt, padded as in training if the network learned a task of sequences."""
    ids, name = model.tokenizer_or_raise().encode(text), model.card.data.name
    return data_set(name).tokenizer.fill(ids) if is_task(name) else ids


def is_task(name: str) -> bool:
    """Test if a data set holds sequences of a task, without reading it."""
    return declared_type(name) is SequenceData


def read_rows(request: Request) -> Batch:
    """Read consecutive windows of the model's own text, with the token that follows each as the target."""
    model, rows = request.model, request.selection
    data: TextData | SequenceData | QuestionData = data_set(model.card.data.name)
    if rows.class_name or rows.known is not None:
        raise InputError(f"{data.name} has no classes and no known answers. Write {request.inputs.form}.")
    if isinstance(data, SequenceData):
        return read_sequences(request, data)
    if isinstance(data, QuestionData):
        return read_questions(request, data)
    split = "validation" if request.source == "test" else "train"
    length = min(model.cfg.n_ctx, WINDOW)
    text, start, most = getattr(data, split), rows.start, current().rows
    if start * length > BYTES * len(text):
        raise InputError(
            f"Row {start:,} does not exist: the {split} text of {data.name} has {len(text):,} characters, and a row "
            f"{length} tokens. Choose an earlier row."
        )
    stop = start + most if rows.stop is None else rows.stop
    request.progress(0, 1)
    needed = None if isinf(stop) else (int(stop) + 1) * length + 1  # None: all of the text
    tokens = first_tokens(text, model.tokenizer_or_raise(), needed)
    chosen = rows.within((len(tokens) - 1) // length, f"the {split} text of {data.name}")
    first, last = chosen.start * length, chosen.stop * length
    note = f"{data.name}, {split} windows {chosen.start} to {chosen.stop - 1} of {length} tokens"
    targets = tokens[first + length : last + 1 : length]
    return batch_of_tokens(tokens[first:last].reshape(-1, length), targets, model, note)


def read_questions(request: Request, data: QuestionData) -> Batch:
    """Read questions, padded on the left, with the first token of the answer as the target."""
    tokenizer = request.model.tokenizer_or_raise()
    questions = data.test if request.source == "test" else data.train
    chosen = request.selection.within(len(questions), f"the {request.source} split of {data.name}")
    some = questions[chosen]
    prompts = pad_left([tokenizer.encode(q.prompt) for q in request.each(some)], padding_token(tokenizer))
    targets = torch.stack([tokenizer.encode(q.answer)[0] for q in some])
    note = f"{data.name}, {request.source} questions {chosen.start} to {chosen.stop - 1}"
    return batch_of_tokens(prompts, targets, request.model, note)


def read_sequences(request: Request, data: SequenceData) -> Batch:
    """Read sequences of a task, with the token that should follow the last one as the target."""
    test = request.source == "test"
    inputs, targets = (data.test_inputs, data.test_targets) if test else (data.train_inputs, data.train_targets)
    chosen = request.selection.within(len(inputs), f"the {request.source} split of {data.name}")
    note = f"{data.name}, {request.source} rows {chosen.start} to {chosen.stop - 1}"
    return batch_of_tokens(inputs[chosen], targets[chosen, -1], request.model, note)


def read_ready_prompts(request: Request) -> Batch:
    """Read some of the ready-made prompts for a model."""
    model, rows = request.model, request.selection
    if rows.class_name:
        raise InputError(f"Prompts have no classes. Write {request.inputs.form}.")
    found = ready_prompts(model.card, model.tokenizer_or_raise())
    chosen = rows.within(len(found.prompts), "the ready-made prompts of one length")
    return batch_of_prompts(found.prompts[chosen], model, found.verdicts)


def batch_of_prompts(texts: Sequence[str], model: Any, verdicts: Sequence[str] = ()) -> Batch:
    """Make a batch of prompts; `verdicts` are the right choice after each of them and the wrong one."""
    tokenizer = model.tokenizer_or_raise()
    batch = batch_of_tokens(torch.stack([tokenizer.encode(text) for text in texts]), None, model, "ready-made prompts")
    if not verdicts:
        return batch
    right, wrong = (tokenizer.encode(word)[0].repeat(len(texts)) for word in verdicts)
    return replace(batch, targets=right, foils=wrong)


def read_counterparts(request: Request) -> Batch:
    """Read, for each clean text, one of another answer with the same number of tokens.

    A sequence of a task is changed by the rule of its data set. For any other text, the most similar one token by token
    is taken of those to which the model gives another answer: of the ready-made prompts if it is one of them, else of
    the questions or windows of the model's own data.
    """
    model, clean, seed = request.model, request.clean_for("texts of another answer"), request.selection.seed
    if is_task(model.card.data.name):
        data: SequenceData = data_set(model.card.data.name)
        other = data.counterpart(clean.inputs, generator(seed, "counterparts"))
        return batch_of_tokens(other, None, model, "the same with another answer")
    candidates = prompts_like(clean, model)
    if isinstance(candidates, Batch):
        return candidates
    if candidates is None:
        candidates = texts_like(clean, request)
    alike = (clean.inputs[:, None] == candidates[None]).sum(dim=2).float()
    return batch_of_tokens(
        candidates[other_answers(request, candidates, alike)], None, model, "texts of another answer"
    )


def prompts_like(clean: Batch, model: Any) -> Batch | Int[Tensor, "candidate pos"] | None:
    """Return the ready-made prompts if all clean ones are among them, or their counterparts if each has one."""
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
        return batch_of_prompts([found.others[i] for i in same.long().argmax(dim=1).tolist()], model)
    return rows


def texts_like(clean: Batch, request: Request) -> Int[Tensor, "candidate pos"]:
    """Return test questions that fit the length of the clean ones, or validation windows of that length."""
    model, length = request.model, clean.inputs.shape[1]
    if (name := model.card.data.name) not in DATASETS:
        raise InputError(f"{name} is no data set here, so it has no text that corrupts this. Write text:PROMPT.")
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
    """Tokenize little more of a text than its first `n` tokens (None: all of it)."""
    if n is None:
        return tokenizer.encode(text)
    characters = 4 * n + 10 * SLACK
    while True:
        tokens = tokenizer.encode(text[:characters])
        if characters >= len(text) or len(tokens) >= n + SLACK:
            return tokens[:n]
        characters *= 2


def batch_of_tokens(
    ids: Int[Tensor, "batch pos"], targets: Int[Tensor, " batch"] | None, model: Any, note: str
) -> Batch:
    """Make a batch of tokens with the text of each."""
    tokenizer = model.tokenizer_or_raise()
    labels, names = tuple(tokenizer.decode(row) for row in ids), tokenizer.tokens
    rule = data_set(name).right if is_task(name := model.card.data.name) else None
    tokens = tuple(tuple(names[i] for i in row) for row in ids.tolist())
    return Batch(ids, targets, labels, note, tokens, right=None if rule is None else rule(ids))


def show(network: Any, batch: Batch, row: int, hook: str) -> tuple[TokenView, ...]:
    """Show the tokens of one text."""
    return (TokenView(batch.tokens[row]),)


def corrupt(model: str, inputs: Inputs) -> str:
    """Corrupt typed prompts by each other, and all other inputs by ones of another answer."""
    if not isinstance(inputs.selection, Texts):
        return OTHER
    if len(inputs.selection.texts) > 1:
        first, *others = inputs.selection.texts
        return str(Inputs(inputs.source, Texts((*others, first))))
    if read_card(model).data.name in TASKS:
        return OTHER
    offered = prompt_presets(model)[0]
    raise InputError(
        f"Nothing is known that would corrupt {short(str(inputs))}. Give corrupted inputs of the same size, such as "
        f"{offered.corrupted!r} for {offered.inputs!r}."
    )


FORM = Form(
    "Use this prompt",
    (TextField("prompt", "Prompt", 2000, 5, "|| separates prompts of one length.", "ROMEO: "),),
    lambda values: f"text:{values['prompt']}" if values["prompt"] else "",
)
TEXT = MODALITIES.register("text")(
    Modality(
        "text",
        claims=with_axes("batch pos"),
        sources=(
            Source("prompts", "prompts:0:16 (ready-made prompts of one length)", Rows, read_ready_prompts, is_task),
            Source("text", "text:PROMPT or text:PROMPT||PROMPT", Texts, read_prompts, is_task),
            Source("test", "test:0:16", Rows, read_rows, always),
            Source("train", "train:0:16", Rows, read_rows, always),
            Source("other", "other:SEED (as corrupted inputs: for each text one of another answer)", Seed,
                   read_counterparts, always, corrupts=True),
        ),
        presets=prompt_presets,
        show=show,
        answers=lambda network: [token.translate(VISIBLE) for token in network.tokenizer.tokens],
        forms=lambda model: (FORM,),
        form_label="Type",
        corrupt=corrupt,
    )
)  # fmt: skip
