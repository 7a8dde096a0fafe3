"""Pairs of a source and the known part of its answer, for encoder-decoders."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from workbench.checkpoints.card import read_card
from workbench.core.errors import InputError
from workbench.core.random import generator
from workbench.core.registry import MODALITIES
from workbench.core.source_target import SourceTarget
from workbench.data.pairs.pair_data import PairData, lengths, pad_rows
from workbench.data.pairs.pair_tokenizer import ARROW, PAD, PairTokenizer
from workbench.data.pairs.pronunciations import dictionary_path
from workbench.experiments.inputs.batches import Batch, Request
from workbench.experiments.inputs.forms import Form, TextField
from workbench.experiments.inputs.language import ALSO, Rows, Seed, Source, Texts, always
from workbench.experiments.inputs.modality import Modality, Preset, with_axes
from workbench.experiments.inputs.prompt_presets import task_presets
from workbench.experiments.inputs.views import VISIBLE, TokenView
from workbench.experiments.store.data_contents import data_set

ENCODED = ("cross_attn.hook_k", "cross_attn.hook_v", "hook_cross_k_input", "hook_cross_v_input", "hook_cross_source_in")
"""Ends of the names of a decoder's hooks that read the encoder's stream."""
PROMPTS = {
    "pronunciations": ("words", "through=>TH R", "thorough=>TH ER"),
    "dates": ("dates", "12 March 1984=>198", "12 March 1994=>199"),
}
"""By data set: a word for its pairs, one of them, and another with a different next token."""
VOWELS = ("cat", "cot"), ("bit", "bat"), ("ten", "tin"), ("man", "men"), ("sit", "set"), ("fan", "fun"), ("nut", "not")
"""Words of three letters that differ in the middle one, and so in the second phoneme."""


def read_rows(request: Request) -> Batch:
    """Read rows of the model's own pairs, with the token that comes next in each answer as the target.

    `known=3:0:16` gives three tokens of each answer; without it, all but the last of the shortest answer are given.
    """
    data: PairData = data_set(request.model.card.data.name)
    rows: Rows = request.selection
    if rows.class_name:
        raise InputError(f"{data.name} has no classes. Write {request.inputs.form}.")
    pairs = data.test if request.source == "test" else data.train
    chosen = rows.within(len(pairs), f"the {request.source} split of {data.name}")
    some, pad = pairs[chosen], data.tokenizer.ids[PAD]
    shortest = int(lengths(some.target, pad).min()) - 2  # without start and end
    known = max(0, shortest - 1) if rows.known is None else rows.known
    if known > shortest:
        raise InputError(f"known={known} is too many: the shortest answer of these rows has {shortest} tokens.")
    given = f"{known} token{'' if known == 1 else 's'} of each answer given"
    note = f"{data.name}, {request.source} rows {chosen.start} to {chosen.stop - 1}, {given}"
    longest = int(lengths(some.source, pad).max())
    inputs = SourceTarget(some.source[:, :longest], some.target[:, : known + 1])
    return spell(inputs, some.target[:, known + 1], data.tokenizer, note)


def spell(inputs: SourceTarget, targets: Int[Tensor, " batch"] | None, tokenizer: PairTokenizer, note: str) -> Batch:
    """Add the text of each token to a batch of pairs."""
    names = tokenizer.tokens
    source, target = (tuple(tuple(names[i] for i in row) for row in side.tolist()) for side in inputs)
    labels = tuple(
        f"{tokenizer.decode(s)} {ARROW} {tokenizer.decode(t)}".rstrip() for s, t in zip(*inputs, strict=True)
    )
    return Batch(inputs, targets, labels, note, target, source)


def read_prompts(request: Request) -> Batch:
    """Read typed sources, each with the known part of its answer after an arrow: `text:cat=>K AE`."""
    tokenizer: PairTokenizer = request.model.tokenizer_or_raise()
    sides = [text.partition(ARROW) for text in request.selection.texts]
    sources = [tokenizer.source_ids(source.strip()) for source, _, _ in sides]
    targets = [tokenizer.target_ids(target.strip()) for _, _, target in sides]
    if len(set(map(len, targets))) > 1:
        counts = " and ".join(str(len(target) - 1) for target in targets)
        raise InputError(
            f"Answers of one batch need the same number of tokens; these have {counts}. Cut the longer ones."
        )
    longest = max(len(row) for row in (*sources, *targets))
    if longest > request.model.cfg.n_ctx:
        raise InputError(
            f"{longest} tokens are too many: this model reads at most {request.model.cfg.n_ctx}. Shorten it."
        )
    inputs = SourceTarget(pad_rows(sources, tokenizer.ids[PAD]), torch.tensor(targets))
    return spell(inputs, None, tokenizer, "prompts" if len(sides) > 1 else "a prompt")


def read_nearest(request: Request) -> Batch:
    """Read, for each clean pair, another test source of the same length with a different next token.

    Pairs whose answers begin alike are preferred, then the one with most of the same tokens at the same places; the
    seed decides among equals. The known part of the answer stays as it was.
    """
    batch, seed = request.clean_for("pairs of another answer"), request.selection.seed
    clean: SourceTarget = batch.inputs
    data: PairData = data_set(request.model.card.data.name)
    pad, known = data.tokenizer.ids[PAD], clean.target.shape[1]
    order = torch.randperm(len(data.test), generator=generator(seed, "nearest pairs"))
    pairs = data.test[order]
    width = max(pairs.source.shape[1], clean.source.shape[1])
    table, size = widen(pairs.source, width, pad), lengths(pairs.source, pad)
    following = next_tokens(request, batch)
    picked = []
    for source, target, token in zip(widen(clean.source, width, pad), clean.target, following, strict=True):
        fits = (size == int((source != pad).sum())) & (pairs.target[:, known] != token)
        fits &= pairs.target[:, known] != pad
        if not fits.any():
            raise InputError(
                "No test pair has the length of one of these sources and a different next token. Give your own."
            )
        alike = (pairs.target[:, :known] == target).all(dim=1).long() * width + (table == source).sum(dim=1)
        picked.append(int(alike.masked_fill(~fits, -1).argmax()))
    sources = table[picked][:, : clean.source.shape[1]]
    note = f"nearest test pairs of another answer (seed {seed})"
    return spell(SourceTarget(sources, clean.target), None, data.tokenizer, note)


@torch.no_grad()
def next_tokens(request: Request, clean: Batch) -> Int[Tensor, " batch"]:
    """Return the next token of each clean pair, by its label, else by the model."""
    if clean.targets is not None:
        return clean.targets
    return request.ask(clean.inputs)[:, -1].argmax(dim=-1)


def widen(rows: Int[Tensor, "row pos"], width: int, pad: int) -> Int[Tensor, "row width"]:
    """Pad rows up to a width."""
    return torch.nn.functional.pad(rows, (0, width - rows.shape[1]), value=pad)


def show(network: Any, batch: Batch, row: int, hook: str) -> tuple[TokenView, ...]:
    """Show the source and the known part of the answer; the one whose positions the hook has is shaded."""
    encoded = hook.startswith("encoder.") or hook.endswith(ENCODED)
    source = batch.sources[row]
    source = source[: len("".join(source).rstrip(PAD))]
    return TokenView(source, "Source", encoded), TokenView(batch.tokens[row], "Target so far", not encoded)


def presets(model: str) -> tuple[Preset, ...]:
    """Return test pairs, and typed pairs where some are known for the data set."""
    data = read_card(model).data.name
    if data not in PROMPTS:
        return Preset("16 test pairs", "test:0:16"), Preset("64 test pairs", "test:0:64")
    offered = task_presets(*PROMPTS[data])
    # The dictionary is an optional package: without it there are no test pairs.
    return (typed_words(), offered[1]) if data == "pronunciations" and dictionary_path() is None else offered


def typed_words() -> Preset:
    """Return words with their first phoneme given, each corrupted by the one that differs in its vowel."""
    clean, other = (
        ALSO.join(f"{word}=>{word[0].replace('c', 'k').upper()}" for pair in pairs for word in pair)
        for pairs in (VOWELS, [pair[::-1] for pair in VOWELS])
    )
    return Preset(f"{2 * len(VOWELS)} words of three letters", f"text:{clean}", f"text:{other}")


def compose(values: Any) -> str:
    """Write a source, and the beginning of its answer if there is one."""
    if not values["source"]:
        return ""
    return f"text:{values['source']}" + (f"{ARROW}{values['answer']}" if values["answer"] else "")


FORM = Form(
    "Use this pair",
    (
        TextField("source", "Source", 200),
        TextField("answer", "Beginning of the answer", 400, help="May be left empty."),
    ),
    compose,
)
ROWS = "test:0:16 or (with three tokens of each answer given) test:known=3:0:16"
PAIR = MODALITIES.register("pair")(
    Modality(
        "pair",
        claims=with_axes("batch source_pos target_pos"),
        sources=(
            Source("text", "text:SOURCE=>BEGINNING OF THE ANSWER, several between ||", Texts, read_prompts),
            Source("test", ROWS, Rows, read_rows, always),
            Source("train", ROWS.replace("test", "train"), Rows, read_rows, always),
            Source("other", "other:SEED (as corrupted inputs: for each pair one of another answer)", Seed,
                   read_nearest, always, corrupts=True),
        ),
        presets=presets,
        show=show,
        answers=lambda network: [token.translate(VISIBLE) for token in network.tokenizer.tokens],
        forms=lambda model: (FORM,),
        form_label="Type",
    )
)  # fmt: skip
