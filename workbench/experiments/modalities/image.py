"""Images: rows of a data set, rows of other classes, picture files."""

from __future__ import annotations

import re
from math import isqrt
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from workbench.checkpoints.card import Card, read_card
from workbench.core.errors import InputError, UnknownNameError
from workbench.core.metrics import logits_of
from workbench.core.random import generator
from workbench.core.reading import whole
from workbench.core.registry import MODALITIES
from workbench.data.images.image_data import ImageData
from workbench.data.images.user_images import read_image
from workbench.experiments.inputs.batches import Batch, Request
from workbench.experiments.inputs.forms import Form, PictureField
from workbench.experiments.inputs.kept_files import locate_file
from workbench.experiments.inputs.language import Files, Rows, Seed, Source, always
from workbench.experiments.inputs.made_images import image_hook, made_images
from workbench.experiments.inputs.modality import Modality, Preset, any_of, with_axes
from workbench.experiments.inputs.views import PictureView
from workbench.experiments.store.data_contents import data_set


def read_rows(request: Request) -> Batch:
    """Read rows of the model's own data set: `0:16`, or `class=3:0:16` of one class."""
    data: ImageData = data_set(request.model.card.data.name)
    rows: Rows = request.selection
    targets = data.test_targets if request.source == "test" else data.train_targets
    indices, which = torch.arange(len(targets)), ""
    if rows.known is not None:
        raise InputError(f"{data.name} has no answers of which some are known. Write {request.inputs.form}.")
    if rows.class_name:
        indices = indices[targets == class_index(rows.class_name, data)]
        which = f" of class {rows.class_name}"
    chosen = rows.within(len(indices), f"the {request.source} split of {data.name}{which}")
    note = f"{request.source} rows {chosen.start} to {chosen.stop - 1}{which}"
    return batch_of_rows(request.source, indices[chosen], data, note)


def batch_of_rows(split: str, rows: Int[Tensor, " batch"], data: ImageData, note: str) -> Batch:
    """Normalize rows of one split and add their classes."""
    pixels, targets = (getattr(data, f"{split}_{part}")[rows] for part in ("pixels", "targets"))
    labels = tuple(data.class_names[target] for target in targets.tolist())
    return Batch(data.inputs_from(pixels), targets, labels, f"{data.name}, {note}")


def class_index(name: str, data: ImageData) -> int:
    """Return the index of the class of that name, or of that number if none has the name."""
    if name in data.class_names:
        return data.class_names.index(name)
    number = whole(name)
    if number is not None and number < len(data.class_names):
        return number
    raise UnknownNameError("class", name, data.class_names, where=f" in {data.name}")


def read_other_classes(request: Request) -> Batch:
    """Read, for each clean example, a test image of another class than its label (else the model's answer)."""
    clean, seed = request.clean_for("images of other classes"), request.selection.seed
    data: ImageData = data_set(request.model.card.data.name)
    own = clean.targets
    if own is None:
        with torch.no_grad():
            own = logits_of(request.ask(clean.inputs)).argmax(dim=-1)
    order = torch.randperm(len(data.test_targets), generator=generator(seed, "other classes"))
    rows: list[int] = []
    for place, target in enumerate(own.tolist()):
        candidates = order[data.test_targets[order] != target]
        rows.append(int(candidates[place % len(candidates)]))
    return batch_of_rows("test", torch.tensor(rows), data, f"test images of other classes (seed {seed})")


def read_pictures(request: Request) -> Batch:
    """Read picture files, normalized like the training images."""
    data: ImageData = data_set(request.model.card.data.name)
    paths: tuple[str, ...] = request.selection.paths
    shape, fit = picture_shape(data), request.source == "fitted"
    images = torch.stack([read_image(locate_file(path), shape, fit=fit) for path in request.each(paths)])
    inputs = data.normalize(images.flatten(1) if len(data.shape) == 1 else images)
    return Batch(inputs, None, tuple(re.split(r"[/\\]", path)[-1] for path in paths), "your own pictures")


def picture_shape(data: ImageData) -> tuple[int, int, int]:
    """Return channels, height and width of the images; those of a vector form a square."""
    side = isqrt(data.shape[-1])
    return (1, side, side) if len(data.shape) == 1 else data.shape  # type: ignore[return-value]


def as_pictures(network: Any, inputs: Float[Tensor, "batch *pixel"]) -> Any:
    """Convert inputs to pictures (batch, height, width, channel) in 0..1."""
    data: ImageData = data_set(network.card.data.name)
    return data.denormalize(inputs).clamp(0, 1).reshape(-1, *picture_shape(data)).permute(0, 2, 3, 1).numpy()


def show(network: Any, batch: Batch, row: int, hook: str) -> tuple[PictureView, ...]:
    """Show one image with its label."""
    label = batch.labels[row]
    pixels = as_pictures(network, batch.inputs[row : row + 1])[0]
    return (PictureView(pixels, f"input picture, labelled {label}", f"label: {label}"),)


def show_reconstruction(network: Any, batch: Batch, row: int) -> tuple[PictureView, ...]:
    """Show the image that an autoencoder makes of one example; nothing for other networks."""
    if image_hook(network) is None:
        return ()
    label = f"reconstruction of {batch.labels[row]}"
    pixels = made_images(network, batch.inputs[row : row + 1])[0]
    return (PictureView(pixels, f"reconstructed picture, labelled {label}", f"label: {label}"),)


def answers(network: Any) -> list[str]:
    """Return the names of the classes."""
    return list(data_set(network.card.data.name).class_names)


def pixel_names(card: Card, size: int) -> list[str]:
    """Name the pixels of an image that is a vector by row and column, as scikit-learn does."""
    side = isqrt(size)
    return [f"pixel_{i // side}_{i % side}" for i in range(size)]


def presets(model: str) -> tuple[Preset, ...]:
    """Return test images as presets."""
    numbers = {"16 test images": "test:0:16", "one test image": "test:0:1", "64 test images": "test:0:64"}
    return tuple(Preset(label, inputs) for label, inputs in numbers.items())


def forms(model: str) -> tuple[Form, ...]:
    """Offer to draw or upload a picture."""
    return (Form("Use this picture", (PictureField(picture_shape(data_set(read_card(model).data.name))),)),)


ROWS = "test:0:16 or test:class=3:0:16"
IMAGE = MODALITIES.register("image")(
    Modality(
        "image",
        claims=any_of(with_axes("batch channel height width"), with_axes("batch feature", ImageData)),
        sources=(
            Source("test", ROWS, Rows, read_rows, always),
            Source("train", ROWS.replace("test", "train"), Rows, read_rows, always),
            Source(
                "other", "other:SEED (as corrupted inputs: for each example one of another class)",
                Seed, read_other_classes, always, corrupts=True,
            ),
            Source("file", "file:PATH", Files, read_pictures, always),
            Source("fitted", "fitted:PATH (a picture of any size, cropped and resized)", Files, read_pictures, always),
        ),
        presets=presets,
        show=show,
        answers=answers,
        forms=forms,
        show_answer=show_reconstruction,
        pictures=as_pictures,
        feature_names=pixel_names,
    )
)  # fmt: skip
