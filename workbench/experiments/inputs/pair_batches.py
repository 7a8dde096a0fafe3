"""Pairs for an encoder-decoder: what it is given, and its answer as far as that is known."""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor

from workbench.core.errors import InputError
from workbench.core.random import generator
from workbench.core.source_target import SourceTarget
from workbench.data.pairs.pair_data import PairData, Pairs, lengths, pad_rows
from workbench.data.pairs.pair_tokenizer import ARROW, PAD, PairTokenizer
from workbench.experiments.inputs.batches import ALSO, FORMS, Batch, Request, cut, numbers, row_match
from workbench.experiments.store.data_contents import data_set


def pair_rows(request: Request) -> Batch:
    """Rows of the model's own pairs, the answers given up to a place (`known=3:0:16`), or to their shortest one's last.

    The target is what comes next in each.
    """
    data: PairData = data_set(request.model.card.data.name)
    rows = row_match(request)
    if rows["name"]:
        raise InputError(f"{data.name} has no classes. Write {FORMS['test']}.")
    pairs = data.test if request.source == "test" else data.train
    chosen = cut(rows, len(pairs), f"the {request.source} split of {data.name}")
    some, pad = pairs[chosen], data.tokenizer.ids[PAD]
    shortest = int(lengths(some.target, pad).min()) - 2  # without start and end
    known = int(rows["known"]) if rows["known"] else max(0, shortest - 1)
    if known > shortest:
        raise InputError(f"known={known} is too many: the shortest answer of these rows has {shortest} tokens.")
    given = f"{known} token{'' if known == 1 else 's'} of each answer given"
    note = f"{data.name}, {request.source} rows {chosen.start} to {chosen.stop - 1}, {given}"
    return of_pairs(some, known, data.tokenizer, note)


def of_pairs(pairs: Pairs, known: int, tokenizer: PairTokenizer, note: str) -> Batch:
    """Rows with so many tokens of each answer given."""
    longest = int(lengths(pairs.source, tokenizer.ids[PAD]).max())
    inputs = SourceTarget(pairs.source[:, :longest], pairs.target[:, : known + 1])
    return spelled(inputs, pairs.target[:, known + 1], tokenizer, note)


def spelled(inputs: SourceTarget, targets: Int[Tensor, " batch"] | None, tokenizer: PairTokenizer, note: str) -> Batch:
    """A batch of pairs with each token as one reads it."""
    names = tokenizer.tokens
    source, target = (tuple(tuple(names[i] for i in row) for row in side.tolist()) for side in inputs)
    labels = tuple(
        f"{tokenizer.decode(s)} {ARROW} {tokenizer.decode(t)}".rstrip() for s, t in zip(*inputs, strict=True)
    )
    return Batch(inputs, targets, labels, note, target, source)


def pair_prompts(request: Request) -> Batch:
    """Sources of one's own, each with its answer as far as it is given after an arrow: `text:cat=>K AE`."""
    tokenizer: PairTokenizer = request.model.tokenizer_or_raise()
    sides = [text.partition(ARROW) for text in request.rest.split(ALSO)]
    sources = [tokenizer.source_ids(source.strip()) for source, _, _ in sides]
    targets = [tokenizer.target_ids(target.strip()) for _, _, target in sides]
    if len(set(map(len, targets))) > 1:
        told = " and ".join(str(len(target) - 1) for target in targets)
        raise InputError(
            f"Answers of one batch need the same number of tokens; these have {told}. Cut the longer ones."
        )
    longest = max(len(row) for row in (*sources, *targets))
    if longest > request.model.cfg.n_ctx:
        raise InputError(
            f"{longest} tokens are too many: this model reads at most {request.model.cfg.n_ctx}. Shorten it."
        )
    inputs = SourceTarget(pad_rows(sources, tokenizer.ids[PAD]), torch.tensor(targets))
    return spelled(inputs, None, tokenizer, "prompts" if len(sides) > 1 else "a prompt")


def nearest_pairs(request: Request) -> Batch:
    """For each clean pair another test source of the same length whose next token is another one.

    Of those whose answer begins alike, if there are any, the one with most of the same tokens at the same places; the
    seed decides among equals. The answer as far as it is known stays as it was.
    """
    if request.clean is None:
        raise InputError("Pairs of another answer need clean ones: 'other' cannot stand alone.")
    (seed,) = numbers(request)
    clean: SourceTarget = request.clean.inputs
    data: PairData = data_set(request.model.card.data.name)
    pad, known = data.tokenizer.ids[PAD], clean.target.shape[1]
    order = torch.randperm(len(data.test), generator=generator(seed, "nearest pairs"))
    pairs = data.test[order]
    width = max(pairs.source.shape[1], clean.source.shape[1])
    table, size = widened(pairs.source, width, pad), lengths(pairs.source, pad)
    wanted = next_tokens(request, request.clean)
    picked = []
    for source, target, token in zip(widened(clean.source, width, pad), clean.target, wanted, strict=True):
        fits = (size == int((source != pad).sum())) & (pairs.target[:, known] != token)
        fits &= pairs.target[:, known] != pad
        if not fits.any():
            raise InputError("No test pair is as long as one of these sources and goes on otherwise. Give your own.")
        alike = (pairs.target[:, :known] == target).all(dim=1).long() * width + (table == source).sum(dim=1)
        picked.append(int(alike.masked_fill(~fits, -1).argmax()))
    sources = table[picked][:, : clean.source.shape[1]]
    note = f"nearest test pairs of another answer (seed {seed})"
    return spelled(SourceTarget(sources, clean.target), None, data.tokenizer, note)


@torch.no_grad()
def next_tokens(request: Request, clean: Batch) -> Int[Tensor, " batch"]:
    """What comes next in each clean pair, by its label, else by the model."""
    if clean.targets is not None:
        return clean.targets
    return request.ask(clean.inputs)[:, -1].argmax(dim=-1)


def widened(rows: Int[Tensor, "row pos"], width: int, pad: int) -> Int[Tensor, "row width"]:
    """Rows with padding up to a width."""
    return torch.nn.functional.pad(rows, (0, width - rows.shape[1]), value=pad)
