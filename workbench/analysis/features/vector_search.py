"""Activation maximization for feature vectors: projected gradient ascent inside the box that natural examples span."""

from __future__ import annotations

import torch
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor

from workbench.analysis.features.search import Found, Search, compute_gradient, take_best_restart
from workbench.core.errors import InputError
from workbench.core.progress import Progress

RATE = 0.1
"""Initial learning rate as a share of each feature's range; annealed linearly to zero."""
STARTS = 4
"""Starting points per unit: the best natural example and random points of the box."""


@torch.enable_grad()
def search_vectors(search: Search, progress: Progress) -> Found:
    """Optimize a vector for each unit; each feature stays within its range over the reference batch.

    The result is the best point of all restarts and steps; the trace is the best so far.

    Cost: per step 2 forward passes and 1 backward pass for four rows per unit.
    """
    low, span = box(search.reference)
    columns = repeat(search.columns, "unit -> (unit restart)", restart=STARTS)
    x = starting_points(search, low, span).requires_grad_()
    start = search.target.read(low + span * x, columns)
    best, best_value, best_drive, trace = x.detach().clone(), start.value, start.drive.detach(), []
    adam = torch.optim.Adam([x], lr=RATE)
    for step in range(search.steps):
        adam.param_groups[0]["lr"] = RATE * (1 - step / search.steps)
        (x.grad,) = compute_gradient(-search.target.read(low + span * x, columns).drive.sum(), [x])
        adam.step()
        with torch.no_grad():
            x.clamp_(0, 1)
            reading = search.target.read(low + span * x, columns)
        better = reading.drive > best_drive
        best[better] = x.detach()[better]
        best_value, best_drive = torch.where(better, reading.value, best_value), best_drive.maximum(reading.drive)
        trace.append(best_value)
        progress(step + 1, search.steps)
    split = "(unit restart) ... -> unit restart ..."
    drives = rearrange(best_drive, split, restart=STARTS)
    found = low + span * take_best_restart(drives, rearrange(best, split, restart=STARTS))
    traces = rearrange(torch.stack(trace, dim=1), split, restart=STARTS)
    return Found(
        found,
        take_best_restart(drives, rearrange(start.value, split, restart=STARTS)),
        take_best_restart(drives, traces),
    )


def box(reference: Float[Tensor, "batch *feature"]) -> tuple[Float[Tensor, " *feature"], Float[Tensor, " *feature"]]:
    """Return each feature's minimum and range over a batch."""
    low, high = reference.amin(dim=0), reference.amax(dim=0)
    if torch.equal(low, high):
        raise InputError(
            f"The {len(reference)} reference inputs are all equal, so the search has no range. "
            "Give inputs that differ, such as 16 rows of the data."
        )
    return low, high - low


def starting_points(search: Search, low: Float[Tensor, " *feature"], span: Float[Tensor, " *feature"]) -> Tensor:
    """Return the best natural example and random points for each unit, as shares of the box."""
    natural = torch.where(span > 0, (search.best - low) / span, 0.0)
    drawn = [torch.rand((STARTS - 1, *low.shape), generator=stream) for stream in search.streams()]
    return torch.cat([natural[:, None], torch.stack(drawn).to(natural)], dim=1).flatten(0, 1)
