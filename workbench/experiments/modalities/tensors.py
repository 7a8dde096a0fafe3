"""Tensors as a network takes them: the inputs of networks whose inputs are nothing more special."""

from __future__ import annotations

import itertools
from typing import Any

from torch import Tensor

from workbench.checkpoints.card import Card, read_card
from workbench.checkpoints.present import FOREIGN
from workbench.core.nested import tensors_in
from workbench.core.registry import DATASETS, MODALITIES
from workbench.experiments.inputs.batches import Batch, Request, other_answers
from workbench.experiments.inputs.given_tensors import TENSORS
from workbench.experiments.inputs.language import Seed, Source
from workbench.experiments.inputs.modality import POLICIES, Modality, Preset
from workbench.experiments.inputs.views import LineView, NumberView, View

SHOWN = 64
"""Numbers of an example that are listed."""


def claims(card: Card) -> bool:
    """Claim foreign networks without a data set of ours and without an environment."""
    plain = card.architecture == FOREIGN and card.data.name not in DATASETS
    return plain and card.config["family"] != POLICIES


def read_other_rows(request: Request) -> Batch:
    """Read, for each clean example, another clean one of another answer."""
    clean, seed = request.clean_for("examples of another answer").inputs, request.selection.seed
    rows = other_answers(request, clean)
    labels = tuple(f"row {row}" for row in rows.tolist())
    return Batch(request.model.take_rows(clean, rows), None, labels, f"examples of another answer, seed {seed}")


def presets(model: str) -> tuple[Preset, ...]:
    """Return the example that the network was opened with."""
    return (Preset("its example", read_card(model).config["example"]),)


def show(network: Any, batch: Batch, row: int, hook: str) -> tuple[View, ...]:
    """Show the first numbers of an example."""
    own = [x[row] for x in tensors_in(batch.inputs) if len(x) == len(batch.labels)]
    values = list(itertools.islice((float(v) for x in own for v in x.flatten()), SHOWN))
    shapes = ", ".join("x".join(map(str, x.shape)) or "one number" for x in own)
    names = tuple(f"feature {i}" for i in range(len(values)))
    return (
        LineView(batch.labels[row], f"{batch.labels[row]}: {shapes}"),
        NumberView(batch.labels[row], names, tuple(values)),
    )


def pictures(network: Any, inputs: Any) -> Any:
    """Return images of one or three channels as pictures, from their darkest to their lightest value."""
    if not isinstance(inputs, Tensor) or inputs.ndim != 4 or inputs.shape[1] not in (1, 3):
        return None
    low, high = inputs.amin((1, 2, 3), keepdim=True), inputs.amax((1, 2, 3), keepdim=True)
    pixels = ((inputs - low) / (high - low).clamp_min(1e-12)).permute(0, 2, 3, 1).float()
    return pixels.expand(-1, -1, -1, 3).cpu().numpy()


MODALITIES.register("tensors")(
    Modality(
        "tensors",
        claims=claims,
        sources=(
            TENSORS,
            Source("other", "other:SEED (as corrupted inputs: for each example another one of another answer)", Seed,
                   read_other_rows, corrupts=True),
        ),
        presets=presets,
        show=show,
        pictures=pictures,
    )
)  # fmt: skip
