"""Latent codes of a generator: drawn from the prior, or one code with a latent moved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from workbench.checkpoints.card import read_card
from workbench.core.errors import InputError
from workbench.core.random import generator
from workbench.core.registry import MODALITIES
from workbench.experiments.inputs.batches import Batch, Request, other_answers
from workbench.experiments.inputs.forms import Form, NumberField
from workbench.experiments.inputs.language import Draws, Seed, Selection, Source
from workbench.experiments.inputs.made_images import made_images
from workbench.experiments.inputs.modality import Modality, Preset, with_axes
from workbench.experiments.inputs.views import PictureView

REACH = 3.0
"""Distance that a latent is moved each way, in standard deviations of the prior."""
VALUES = 9
"""Values that `walk` gives a latent."""
CANDIDATES, OTHER_SEEDS = 512, 10_000
"""Codes from which the corrupted ones are taken, and the offset of their seed."""


@dataclass(frozen=True)
class Walk(Selection):
    """`SEED:LATENT`."""

    seed: int
    latent: int

    @property
    def examples(self) -> int:
        return VALUES


def read_samples(request: Request) -> Batch:
    """Draw N codes from the standard normal prior."""
    seed, n = request.selection.seed, request.selection.n
    if n < 1:
        raise InputError(f"{request.inputs} asks for no samples. Write sample:SEED:N, such as sample:0:16.")
    labels = tuple(f"sample {i}" for i in range(n))
    return Batch(draw_codes(request, seed, n), None, labels, f"codes drawn from the prior, seed {seed}")


def read_walk(request: Request) -> Batch:
    """Move one latent of the first code of a seed over evenly spaced values."""
    seed, latent = request.selection.seed, request.selection.latent
    code = draw_codes(request, seed, 1)
    if latent >= code.shape[1]:
        raise InputError(f"There is no latent {latent}: this model has {code.shape[1]}, the first being 0.")
    values = torch.linspace(-REACH, REACH, VALUES)
    latents = code.repeat(VALUES, 1).index_copy(1, torch.tensor([latent]), values[:, None])
    labels = tuple(f"latent {latent} at {value:+.2f}" for value in values.tolist())
    return Batch(latents, None, labels, f"one code (seed {seed}), latent {latent} from {-REACH:g} to {REACH:g}")


def read_other_verdicts(request: Request) -> Batch:
    """Draw, for each clean code, one that the network judges otherwise."""
    request.clean_for("codes that the network judges otherwise")
    seed = request.selection.seed
    codes = draw_codes(request, seed + OTHER_SEEDS, CANDIDATES)
    rows = other_answers(request, codes)
    labels = tuple(f"other sample {row}" for row in rows.tolist())
    return Batch(codes[rows], None, labels, f"codes that the network judges otherwise, seed {seed}")


def draw_codes(request: Request, seed: int, n: int) -> Float[Tensor, "n latent"]:
    """Draw codes from the prior."""
    size = request.model.example(1).shape[1]
    return torch.randn(n, size, generator=generator(seed, "prior"))


def show(network: Any, batch: Batch, row: int, hook: str) -> tuple[PictureView, ...]:
    """Show the picture that is generated from one code."""
    label = batch.labels[row]
    pixels = made_images(network, batch.inputs[row : row + 1])[0]
    return (PictureView(pixels, f"generated picture, labelled {label}", f"label: {label}"),)


def presets(model: str) -> tuple[Preset, ...]:
    """Return samples, and a walk along the first latent, as presets."""
    numbers = {"16 samples": "sample:0:16", "one sample": "sample:0:1", "64 samples": "sample:0:64"}
    return tuple(Preset(*item) for item in (numbers | {"one latent from -3 to 3": "walk:0:0"}).items())


def forms(model: str) -> tuple[Form, ...]:
    """Offer samples by seed, and a walk from the code of that seed."""
    last = read_card(model).config["n_latents"] - 1
    seed = NumberField("seed", "Seed of the codes", 0, 2**31 - 1, 0)
    sample = lambda values: f"sample:{values['seed']}:{values['codes']}"
    walk = lambda values: f"walk:{values['seed']}:{values['latent']}"
    return (
        Form("Use these codes", (seed, NumberField("codes", "Codes", 1, 500, 16)), sample),
        Form("Move it from -3 to 3", (NumberField("latent", f"Or move one latent (0 to {last})", 0, last, 0),), walk),
    )


LATENT = MODALITIES.register("latent")(
    Modality(
        "latent",
        claims=with_axes("batch latent"),
        sources=(
            Source("sample", "sample:SEED:N (codes drawn from the prior)", Draws, read_samples),
            Source("walk", "walk:SEED:LATENT (one code, that latent moved from -3 to 3)", Walk, read_walk),
            Source("other", "other:SEED (as corrupted inputs: for each code one that the network judges otherwise)",
                   Seed, read_other_verdicts, corrupts=True),
        ),
        presets=presets,
        show=show,
        answers=lambda network: ["generated", "real"],
        forms=forms,
        form_label="Seed",
        pictures=made_images,
    )
)  # fmt: skip
