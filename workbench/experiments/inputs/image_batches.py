"""Pictures for a classifier: rows of its data set, rows of other classes, a user's own."""

from __future__ import annotations

import re
from math import isqrt

import torch
from jaxtyping import Int
from torch import Tensor

from workbench.core.errors import InputError, UnknownNameError
from workbench.core.metrics import logits_of
from workbench.core.random import generator
from workbench.core.reading import whole
from workbench.data.images.image_data import ImageData
from workbench.data.images.user_images import read_image
from workbench.experiments.inputs.batches import ALSO, FORMS, Batch, Request, cut, numbers, row_match
from workbench.experiments.inputs.kept_pictures import located
from workbench.experiments.store.data_contents import data_set


def image_rows(request: Request) -> Batch:
    """Rows of the model's own data set: `0:16`, or `class=3:0:16` of one class."""
    data: ImageData = data_set(request.model.card.data.name)
    match = row_match(request)
    targets = data.test_targets if request.source == "test" else data.train_targets
    rows, which = torch.arange(len(targets)), ""
    if match["known"]:
        raise InputError(f"{data.name} has no answers of which some are known. Write {FORMS['test']}.")
    if match["name"]:
        rows = rows[targets == class_index(match["name"], data)]
        which = f" of class {match['name']}"
    chosen = cut(match, len(rows), f"the {request.source} split of {data.name}{which}")
    note = f"{request.source} rows {chosen.start} to {chosen.stop - 1}{which}"
    return of_rows(request.source, rows[chosen], data, note)


def of_rows(split: str, rows: Int[Tensor, " batch"], data: ImageData, note: str) -> Batch:
    """Rows of one split, normalised, with their classes."""
    pixels, targets = (getattr(data, f"{split}_{part}")[rows] for part in ("pixels", "targets"))
    labels = tuple(data.class_names[target] for target in targets.tolist())
    return Batch(data.inputs_from(pixels), targets, labels, f"{data.name}, {note}")


def class_index(name: str, data: ImageData) -> int:
    """The class of that name, or of that number when none is called so."""
    if name in data.class_names:
        return data.class_names.index(name)
    number = whole(name)
    if number is not None and number < len(data.class_names):
        return number
    raise UnknownNameError("class", name, data.class_names, where=f" in {data.name}")


def other_classes(request: Request) -> Batch:
    """For each clean example a test image of another class than its own (or than the model sees in it)."""
    clean, model, (seed,) = request.clean, request.model, numbers(request)
    if clean is None:
        raise InputError(f"other:{seed} corrupts other inputs and cannot stand alone. Write {FORMS['test']}.")
    data: ImageData = data_set(model.card.data.name)
    own = clean.targets
    if own is None:
        with torch.no_grad():
            own = logits_of(request.ask(clean.inputs)).argmax(dim=-1)
    order = torch.randperm(len(data.test_targets), generator=generator(seed, "other classes"))
    rows: list[int] = []
    for place, target in enumerate(own.tolist()):
        candidates = order[data.test_targets[order] != target]
        rows.append(int(candidates[place % len(candidates)]))
    return of_rows("test", torch.tensor(rows), data, f"test images of other classes (seed {seed})")


def pictures(request: Request) -> Batch:
    """A user's own pictures, in the network's units."""
    data: ImageData = data_set(request.model.card.data.name)
    paths, flat = request.rest.split(ALSO), len(data.shape) == 1
    side = isqrt(data.shape[-1])
    channels, height, width = (1, side, side) if flat else data.shape
    fit = request.source == "fitted"
    images = torch.stack([read_image(located(path), (channels, height, width), fit=fit) for path in paths])
    inputs = data.normalize(images.flatten(1) if flat else images)
    return Batch(inputs, None, tuple(re.split(r"[/\\]", path)[-1] for path in paths), "your own pictures")
