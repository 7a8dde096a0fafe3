"""Activation maximization for images: gradient ascent on phases with random transformations."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from workbench.analysis.features.image_parametrization import Appearance, Phases, fit_appearance, transform
from workbench.analysis.features.search import Found, Search, compute_gradient
from workbench.core.progress import Progress

RATE = 0.3
"""Learning rate of the phases in radians; annealed to zero along a squared cosine."""
STARTS = 4
"""Random starting points, of which the best is used."""
SHAKE = (0.15, 0.1, 0.15, 0.15)
"""Initial range of angle (radians), log scale and two shifts (half images); annealed like the learning rate."""


@torch.enable_grad()
def search_images(search: Search, progress: Progress) -> Found:
    """Optimize an image for each unit.

    Cost: 1 forward and backward pass up to the hook per step, for all units in one batch.
    """
    look, columns = fit_appearance(search.reference), search.columns
    streams = search.streams()
    phases = starting_phases(search, look, streams).requires_grad_()
    start = search.target.read(look.images(phases), columns).value
    moves = torch.stack([torch.rand(search.steps, 4, generator=stream) for stream in streams], dim=1).to(phases)
    moves = (2 * moves - 1) * torch.tensor(SHAKE).to(phases)
    adam, trace = torch.optim.Adam([phases], lr=RATE), []
    for step in range(search.steps):
        left = float(torch.cos(torch.tensor(torch.pi / 2 * step / search.steps))) ** 2
        adam.param_groups[0]["lr"] = RATE * left
        reading = search.target.read(transform(look.images(phases), moves[step] * left), columns)
        (phases.grad,) = compute_gradient(-reading.drive.sum(), [phases])
        adam.step()
        trace.append(reading.value)
        progress(step + 1, search.steps)
    return Found(look.images(phases).detach(), start, torch.stack(trace, dim=1))


def starting_phases(search: Search, look: Appearance, streams: list[torch.Generator]) -> Phases:
    """Choose the best of `STARTS` random phases for each unit.

    A unit whose gradient is zero there starts from its best natural image.
    """
    shape = (STARTS, *look.amplitude.shape)
    drawn = torch.stack([torch.rand(shape, generator=stream) for stream in streams], dim=1).to(look.amplitude)
    drives: list[Float[Tensor, " unit"]] = []
    phases = (2 * drawn - 1) * torch.pi
    with torch.no_grad():
        drives = [search.target.read(look.images(start), search.columns).drive for start in phases]
    best = torch.stack(drives).argmax(dim=0)
    chosen = phases[best, torch.arange(len(best), device=best.device)].requires_grad_()
    (slope,) = compute_gradient(search.target.read(look.images(chosen), search.columns).drive.sum(), [chosen])
    silent = slope.flatten(1).abs().amax(dim=1) == 0
    return torch.where(silent[:, None, None, None], look.phases(search.best), chosen.detach()).detach()
