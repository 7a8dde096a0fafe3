"""Inputs given as tensors: in Python as they are, elsewhere as a file of arrays.

Tensors that are passed in Python are kept as a safetensors file named by its contents, so that each question has a text
that the command line and the dashboard can repeat. What identifies them are the arrays, in whatever file they stand.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from workbench.core.errors import InputError, short
from workbench.core.inputs import check_inputs
from workbench.core.reading import read_file
from workbench.core.source_target import SourceTarget
from workbench.core.tensor_file import pack, unpack
from workbench.experiments.inputs.batches import Batch, Request
from workbench.experiments.inputs.kept_files import keep, locate_file
from workbench.experiments.inputs.language import Selection, Source
from workbench.experiments.questions.budget import current, require

ALONE = "inputs"
"""Name of the array of a network that takes one tensor."""
ANSWERS = "labels"
"""Name of the array of right answers, one whole number for each row."""
ENDINGS = ("safetensors", "npz", "npy")
DAMAGED = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)


@dataclass(frozen=True)
class TensorFile(Selection):
    """`PATH` of a file of arrays."""

    path: str

    @classmethod
    def parse(cls, text: str) -> TensorFile | None:
        return cls(text) if text.lower().endswith(tuple(f".{ending}" for ending in ENDINGS)) else None

    def __str__(self) -> str:
        return self.path

    @property
    def files(self) -> tuple[str, ...]:
        return (self.path,)

    def at(self, files: tuple[str, ...]) -> TensorFile:
        return replace(self, path=files[0])


def keep_tensors(inputs: Any, what: str) -> str:
    """Keep tensors in a file and return the input text for them.

    Args:
        inputs: A tensor, a tuple of tensors, a mapping from names to tensors, or a `SourceTarget`.
        what: Names the argument in errors.

    Raises:
        InputError: If they hold anything but tensors.
    """
    tensors = name_tensors(inputs, what)
    require("bytes", sum(x.numel() * x.element_size() for x in tensors.values()), f"the tensors of {what}")
    return f"{TENSORS.name}:{keep(pack(tensors, {}), ENDINGS[0])}"


def name_tensors(inputs: Any, what: str) -> dict[str, Tensor]:
    """Name the tensors of some inputs."""
    if isinstance(inputs, SourceTarget):
        named: dict[str, Any] = inputs._asdict()
    elif isinstance(inputs, Mapping):
        named = dict(inputs)
    elif isinstance(inputs, tuple | list):
        named = {str(place): entry for place, entry in enumerate(inputs)}
    else:
        named = {ALONE: inputs}
    for name, entry in named.items():
        if not isinstance(name, str) or not isinstance(entry, Tensor):
            place = "" if entry is inputs else f" at {short(name)}"
            raise InputError(
                f"{what}{place} is a {type(entry).__name__}, which has no stored form. Pass a tensor, a tuple or a "
                "mapping of tensors, or an input text such as 'test:0:16'; other arguments of the network go into "
                "the `forward` of workbench.wrap."
            )
        if entry.layout != torch.strided or entry.is_quantized or entry.is_meta:
            raise InputError(f"{what} at {short(name)} is sparse, quantized or without values. Pass a plain tensor.")
    if not named:
        raise InputError(f"{what} holds no tensor. Pass a batch, its examples first.")
    return named


def read_tensors(path: str) -> dict[str, Tensor]:
    """Read the arrays of a `.safetensors`, `.npz` or `.npy` file; no pickle is opened."""
    if path.lower().endswith(ENDINGS[0]):
        return unpack(read_within_budget(path), short(path))[0]
    try:
        return {name: torch.from_numpy(array) for name, array in load_numpy(path).items()}
    except (*DAMAGED, TypeError) as reason:
        raise InputError(
            f"{short(path)} cannot be read as arrays of numbers ({short(str(reason))}). Save it with numpy.save, "
            "numpy.savez or safetensors."
        ) from None


def load_numpy(path: str) -> Mapping[str, Any]:
    """Open an `.npz` or `.npy` file, a single array as `ALONE`; raises one of `DAMAGED` if it cannot be read."""
    stream = io.BytesIO(read_within_budget(path))
    if zipfile.is_zipfile(stream):
        size = sum(part.file_size for part in zipfile.ZipFile(stream).infolist())
        require("bytes", size, f"the arrays of {short(path)}")
    stream.seek(0)
    loaded: Any = np.load(stream, allow_pickle=False)
    return loaded if isinstance(loaded, Mapping) else {ALONE: loaded}


def read_within_budget(path: str) -> bytes:
    """Read a file of arrays that is no larger than the budget allows."""
    return read_file(path, int(min(current().bytes, 2**62)), "file of arrays")


def tensors_sha256(path: str) -> str:
    """Compute the hash of the arrays of a file: names, types, shapes and bytes."""
    digest = hashlib.sha256()
    for name, tensor in sorted(read_tensors(locate_file(path)).items()):
        digest.update(f"{len(name)}:{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def read_given(request: Request) -> Batch:
    """Read the arrays of a file in the form that the network takes."""
    path, model = request.selection.path, request.model
    tensors = read_tensors(locate_file(path))
    like = model.example(1 if model.probe is None or not model.probe.fixed_batch else None)
    names = list(name_tensors(like, "The example"))
    labels = tensors.pop(ANSWERS, None) if ANSWERS not in names else None
    if sorted(tensors) != sorted(names):
        raise InputError(
            f"{short(path)} holds the arrays {short(sorted(tensors))}, and this network takes {short(sorted(names))}. "
            f"Name them so; {ANSWERS!r} may hold the right answers."
        )
    inputs = arrange(like, {name: fit(model, tensors[name]) for name in names})
    check_inputs(inputs, short(str(request.inputs)))
    n = model.count_rows(inputs)
    if n < 1:
        raise InputError(f"{short(path)} holds no rows. Give at least one example.")
    require("rows", n, f"inputs {short(str(request.inputs))}")
    return Batch(inputs, answers(labels, n), tuple(f"row {row}" for row in range(n)), "tensors of your own")


def arrange(like: Any, tensors: dict[str, Tensor]) -> Any:
    """Put named tensors in the form of other inputs."""
    if isinstance(like, SourceTarget):
        return SourceTarget(**tensors)
    if isinstance(like, Mapping):
        return tensors
    return type(like)(tensors.values()) if isinstance(like, tuple | list) else tensors[ALONE]


def fit(model: Any, tensor: Tensor) -> Tensor:
    """Convert numbers to the precision of the network; whole numbers stay."""
    like = next((x for x in model.parameters() if x.is_floating_point()), None)
    return tensor.to(like.dtype) if like is not None and tensor.is_floating_point() else tensor


def answers(labels: Tensor | None, n: int) -> Tensor | None:
    """Check the right answers: one whole number for each row."""
    if labels is not None and (labels.shape != (n,) or labels.is_floating_point()):
        raise InputError(
            f"{ANSWERS!r} holds {labels.dtype} of shape {tuple(labels.shape)}, not one whole number for each of the "
            f"{n} rows."
        )
    return None if labels is None else labels.long()


TENSORS = Source(
    "tensors", "tensors:PATH.npz, .npy or .safetensors (arrays as the network takes them)", TensorFile, read_given
)
