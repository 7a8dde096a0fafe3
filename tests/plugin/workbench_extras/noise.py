"""White noise as an input of image networks."""

from __future__ import annotations

from typing import Any

import torch

from workbench.core.random import generator
from workbench.experiments.inputs.batches import Batch, Request
from workbench.experiments.inputs.language import Draws, Source
from workbench.experiments.inputs.modality import Modality, Preset, with_axes
from workbench.experiments.inputs.views import PictureView


def read_noise(request: Request) -> Batch:
    """Draw N pictures from the standard normal distribution, in the network's own units."""
    seed, n = request.selection.seed, request.selection.n
    pixels = torch.randn(n, *request.model.example(1).shape[1:], generator=generator(seed, "noise"))
    return Batch(pixels, None, tuple(f"noise {i}" for i in range(n)), f"white noise, seed {seed}")


def show(network: Any, batch: Batch, row: int, hook: str) -> tuple[PictureView, ...]:
    """Show one picture, its values from -3 to 3 as grey levels."""
    pixels = (batch.inputs[row] / 6 + 0.5).clamp(0, 1).movedim(0, -1).numpy()
    return (PictureView(pixels, "white noise", batch.labels[row]),)


NOISE = Modality(
    "noise",
    claims=with_axes("batch channel height width"),
    sources=(Source("noise", "noise:SEED:N (white noise)", Draws, read_noise),),
    presets=lambda model: (Preset("16 pictures of noise", "noise:0:16"),),
    show=show,
    gives_way=True,
)
