"""Inputs as text (`test:0:16`, `text:To be||or not`, `rollout:0:16`, `file:3.png`) and the tensors they stand for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from workbench.core.errors import InputError, UnknownNameError, short
from workbench.core.progress import Progress, silent
from workbench.core.reading import is_text
from workbench.core.registry import MODELS
from workbench.data.images.user_images import read_bytes
from workbench.experiments.inputs.batches import ALSO, FORMS, Batch, Request, check_form, rows_asked
from workbench.experiments.inputs.image_batches import image_rows, other_classes, pictures
from workbench.experiments.inputs.kept_pictures import FILES, located
from workbench.experiments.inputs.latent_batches import other_verdicts, samples, walk
from workbench.experiments.inputs.pair_batches import nearest_pairs, pair_prompts, pair_rows
from workbench.experiments.inputs.policy_batches import explored, observations, other_actions
from workbench.experiments.inputs.text_batches import counterparts, prompts, ready, text_rows

READERS: Mapping[str, Mapping[str, Callable[[Request], Batch]]] = {
    "image": {
        "test": image_rows, "train": image_rows, "other": other_classes, "file": pictures, "fitted": pictures
    },
    "text": {"prompts": ready, "text": prompts, "test": text_rows, "train": text_rows, "other": counterparts},
    "policy": {"rollout": observations, "explored": explored, "other": other_actions},
    "latent": {"sample": samples, "walk": walk, "other": other_verdicts},
    "pair": {"text": pair_prompts, "test": pair_rows, "train": pair_rows, "other": nearest_pairs},
}  # fmt: skip
"""How each source of inputs is read, by what the model takes."""


def read_inputs(text: str, model: Any, clean: Batch | None = None, progress: Progress = silent) -> Batch:
    """Read the batch that `text` stands for.

    Args:
        text: A source and what to take of it, such as `test:0:16`.
        model: A model loaded with its card. Some readers run it, so hold none of its locks.
        clean: The batch that the one read is to corrupt.
        progress: Called while the batch is read; raise `Cancelled` from it to stop.

    Returns:
        The batch, whose inputs the model takes.

    Raises:
        InputError: If the text names no inputs of this kind of model, or more than the budget allows.
    """
    source, rest = require_known(text, model.card.architecture)
    batch = READERS[kind_of(model.card.architecture)][source](Request(source, rest, model, clean, progress))
    if clean is not None and batch.shapes != clean.shapes:
        given, wanted = (" and ".join(map(str, shapes)) for shapes in (batch.shapes, clean.shapes))
        raise InputError(
            f"The corrupted inputs have shape {given}, the clean ones {wanted}. "
            "Give as many examples, of the same size, as the clean inputs have."
        )
    return batch


def kind_of(architecture: str) -> str:
    """What an architecture reads: "image", "text", "pair" (a text and its answer so far), "policy" (observations of an
    environment) or "latent" (codes)."""
    model_class: Any = MODELS[architecture]
    if model_class.family == "rl":
        return "policy"
    if model_class.input_axes == "batch latent":
        return "latent"
    return {"batch pos": "text", "batch source_pos target_pos": "pair"}.get(model_class.input_axes, "image")


def require_known(text: str, architecture: str) -> tuple[str, str]:
    """The source and the rest of a text for inputs, when a model of this architecture can take it.

    Nothing is read for it but the text itself. More than the budget allows is refused.
    """
    if not is_text(text):
        raise InputError(f"{short(text)} holds a character that no text has (NUL, or half of a pair). Leave it out.")
    source, colon, rest = text.partition(":")
    kind = kind_of(architecture)
    known = READERS[kind]
    forms = "; ".join(FORMS[name] for name in known)
    if source not in FORMS:
        raise InputError(f"{UnknownNameError('source of inputs', source, known)} Write {forms}.")
    if source not in known:
        raise InputError(f"This model cannot read {source!r}: its inputs are of kind {kind!r}. Write {forms}.")
    if not colon or not rest:
        raise InputError(f"{short(text)} does not say which inputs. Write {FORMS[source]}.")
    check_form(Request(source, rest))
    return source, rest


def rows_of(text: str) -> int | None:
    """The number of examples that a text for inputs asks for; None where only the data can tell; 0 for no text."""
    source, _, rest = text.partition(":")
    return rows_asked(Request(source, rest)) if text else 0


def identity(text: str) -> str:
    """The text with the hash of each file in place of its path: the same pictures are the same inputs."""
    source, _, rest = text.partition(":")
    if source not in FILES:
        return text
    contents = (read_bytes(located(path)) for path in rest.split(ALSO))
    return f"{source}:{ALSO.join(hashlib.sha256(content).hexdigest() for content in contents)}"
