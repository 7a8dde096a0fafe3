"""Data for a network that is added: the example that it is opened with, right answers, and what its inputs are.

| `--data` | example | inputs of later questions |
|---|---|---|
| a `.npz`, `.npy` or `.safetensors` file | its arrays, and `labels` if there are any | the example, `tensors:PATH` |
| a data set of images of ours, by name | its first test images | `test:0:16`, `file:PATH` and so on |
| an environment, by its id | first observations of episodes | `rollout:0:16` and so on |
| a folder with a folder of images for each class | all images, 0..1, with the class as the right answer | the example |
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import torch
from torch import Tensor

from workbench.core.errors import InputError, short
from workbench.core.registry import DATASETS
from workbench.data.environments import make
from workbench.data.images.image_data import ImageData
from workbench.data.images.user_images import open_image, read_bytes, read_image
from workbench.experiments.inputs.given_tensors import ALONE, ANSWERS, ENDINGS, name_tensors, read_tensors
from workbench.experiments.inputs.modality import POLICIES, has_data_of
from workbench.experiments.questions.budget import require
from workbench.experiments.store.data_contents import data_set
from workbench.training.rollouts import as_observation

ROWS = 8
"""Rows of the example that are taken of a data set or an environment."""


class AddedData(NamedTuple):
    """Example of a network's inputs, and what they are.

    Attributes:
        example: A tensor, a tuple of tensors or a mapping of tensors, batch first.
        labels: Right answers to its rows, if known.
        name: Data set or environment, if it is one that has a name.
        family: Family of a network that takes such inputs.
        input_axes: Axes of the inputs, if their meaning is known.
    """

    example: Any
    labels: Tensor | None = None
    name: str = ""
    family: str = "module"
    input_axes: str = ""

    @property
    def arrays(self) -> dict[str, Tensor]:
        """Everything that is kept, by name."""
        named = {name: x.detach() for name, x in name_tensors(self.example, "The example").items()}
        return named if self.labels is None else named | {ANSWERS: self.labels}


def read_data(data: str) -> AddedData:
    """Read the data that `--data` names.

    Raises:
        InputError: If it is none of the kinds that are possible.
    """
    if data in DATASETS:
        return images_of(data)
    if data in gymnasium.registry:
        return observations_of(data)
    path = Path(data).expanduser()
    if data.lower().endswith(tuple(f".{ending}" for ending in ENDINGS)):
        return arrays_of(str(path))
    if path.is_dir():
        return folder_of(path)
    raise InputError(
        f"data={short(data)} is no data. Give a .npz, .npy or .safetensors file of arrays, a folder with a folder of "
        "images for each class, the id of an environment, or a data set of images (workbench list datasets). Text "
        "needs a tokenizer: encode it, and give the token ids as an array."
    )


def describe_example(example: Any) -> AddedData:
    """Return data about which nothing is known but the example."""
    vectors = isinstance(example, Tensor) and example.ndim == 2 and example.is_floating_point()
    return AddedData(example, input_axes="batch feature" if vectors else "")


def images_of(name: str) -> AddedData:
    """Take test images of a data set of ours."""
    if not has_data_of(name, ImageData):
        raise InputError(
            f"{name} holds no images, and only data sets of images fit the networks of others. Give the inputs as an "
            "array: a .npz file."
        )
    inputs: Tensor = data_set(name).test_inputs[:ROWS]
    axes = "batch channel height width" if inputs.ndim == 4 else "batch feature"
    return AddedData(inputs, None, name, input_axes=axes)


def observations_of(name: str) -> AddedData:
    """Take the first observations of episodes of an environment."""
    with closing(make(name)) as environment:
        seen = torch.stack([as_observation(environment.reset(seed=seed)[0]) for seed in range(ROWS)])
    axes = "batch feature" if seen.ndim == 2 else ""
    return AddedData(seen, None, name, POLICIES, axes)


def arrays_of(path: str) -> AddedData:
    """Read the arrays of a file: one tensor, several by place, or several by name."""
    arrays = read_tensors(path)
    labels = arrays.pop(ANSWERS, None)
    if not arrays:
        raise InputError(f"{short(path)} holds no array of inputs. Save them as {ALONE!r}.")
    if len(arrays) == 1 and (ALONE in arrays or "arr_0" in arrays):
        single = next(iter(arrays.values()))
        example: Any = single.float() if single.dtype is torch.float64 else single
    elif all(name.isdigit() for name in arrays):
        example = tuple(arrays[str(place)] for place in range(len(arrays)))
    else:
        example = arrays
    return describe_example(example)._replace(labels=None if labels is None else labels.long())


def folder_of(folder: Path) -> AddedData:
    """Read the images of a folder, in which each class has a folder of its own."""
    classes = sorted(path for path in folder.iterdir() if path.is_dir())
    files = [(path, place) for place, one in enumerate(classes) for path in sorted(one.iterdir()) if path.is_file()]
    if not files:
        raise InputError(f"{folder} has no folders with images. Make one for each class, and put its images there.")
    require("rows", len(files), f"the images of {folder}")
    first = open_image(read_bytes(files[0][0]))
    shape = (1 if first.mode == "L" else 3, first.height, first.width)
    require("bytes", 4 * len(files) * int(np.prod(shape)), f"the images of {folder}")
    images = []
    for path, _ in files:
        try:
            images.append(read_image(path, shape))
        except InputError as error:
            raise InputError(f"{path} differs from {files[0][0].name}: {error}") from None
    return AddedData(torch.stack(images), torch.tensor([place for _, place in files]))
