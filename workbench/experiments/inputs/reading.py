"""Read batches from input texts such as `test:0:16`, and identify their contents."""

from __future__ import annotations

import hashlib
from typing import Any

from workbench.core.errors import InputError
from workbench.core.progress import Progress, silent
from workbench.data.images.user_images import read_bytes
from workbench.experiments.inputs.batches import Batch, Request
from workbench.experiments.inputs.given_tensors import TensorFile, tensors_sha256
from workbench.experiments.inputs.kept_files import locate_file
from workbench.experiments.inputs.language import Inputs
from workbench.experiments.inputs.modality import parse_inputs


def read_inputs(text: str, model: Any, clean: Batch | None = None, progress: Progress = silent) -> Batch:
    """Read the batch that `text` stands for.

    Args:
        text: A source and a selection of its examples, such as `test:0:16`.
        model: A model loaded with its card. Some sources run it, so hold none of its locks.
        clean: The batch to corrupt.
        progress: Called while the batch is read; raise `Cancelled` from it to stop.

    Returns:
        The batch, whose inputs the model takes.

    Raises:
        InputError: If the model cannot read such inputs, or they exceed the budget.
    """
    inputs, source = parse_inputs(text, model.card)
    inputs.require_budget()
    batch = source.read(Request(inputs, model, clean, progress))
    if clean is not None and batch.shapes != clean.shapes:
        given, expected = (" and ".join(map(str, shapes)) for shapes in (batch.shapes, clean.shapes))
        raise InputError(
            f"The corrupted inputs have shape {given}, the clean ones {expected}. "
            "Give as many examples, of the same size, as the clean inputs have."
        )
    return batch


def rows_of(text: str) -> int | None:
    """Return the number of examples of an input text: None if only the data can tell, 0 for no text."""
    inputs = Inputs.try_parse(text)
    return inputs.selection.examples if inputs else 0 if not text else None


def identity(text: str) -> str:
    """Return an input text with the hash of each file in place of its path: the same contents are the same inputs.

    Arrays that are given as they are count by their contents, in whatever kind of file they stand.
    """
    inputs = Inputs.try_parse(text)
    if inputs is None or not (files := inputs.selection.files):
        return text
    if isinstance(inputs.selection, TensorFile):
        return f"{inputs.source}:{tensors_sha256(inputs.selection.path)}"
    hashes = tuple(hashlib.sha256(read_bytes(locate_file(path))).hexdigest() for path in files)
    return str(Inputs(inputs.source, inputs.selection.at(hashes)))
