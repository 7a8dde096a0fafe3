"""What can be done to an activation at a site: seven edits, each a small pure function of the part it replaces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from workbench.core.errors import InputError, ShapeError
from workbench.core.sites import Site

Edit = Callable[[Tensor, tuple[str, ...]], Tensor]
"""From the selected part (all axes kept) and the activation's axes to a part of the same shape."""


@dataclass(frozen=True)
class Intervention:
    """An edit at a site. Apply with `model.edited([...])`, or many at once with `sweep`."""

    site: Site
    edit: Edit
    name: str

    def __str__(self) -> str:
        return f"{self.name} {self.site}"


def zero(site: Site | str) -> Intervention:
    """Sets the part to zero. Zero is often off distribution: compare with `mean` and `resample`."""
    return Intervention(Site.of(site), lambda part, axes: torch.zeros_like(part), "zero")


def mean(site: Site | str, reference: Tensor) -> Intervention:
    """Sets the part to its mean over the batch of `reference`, activations of the same hook on a reference set."""
    site = Site.of(site)
    average = reference.mean(dim=0, keepdim=True)
    return Intervention(site, lambda part, axes: _like(part, _pick(site, average, axes), site), "mean")


def resample(site: Site | str, reference: Tensor, generator: torch.Generator) -> Intervention:
    """Sets each example's part to that of a random row of `reference` (causal scrubbing's resampling ablation)."""
    site = Site.of(site)
    seed = int(torch.randint(2**62, (), generator=generator))  # the same rows at every application

    def edit(part: Tensor, axes: tuple[str, ...]) -> Tensor:
        draw = torch.Generator().manual_seed(seed)
        rows = torch.randint(len(reference), (len(part),), generator=draw).to(reference.device)
        return _like(part, _pick(site, reference[rows], axes), site)

    return Intervention(site, edit, "resample")


def patch(site: Site | str, activation: Tensor) -> Intervention:
    """Sets the part to that of `activation`, the same hook in another run, row by row (or one row for all)."""
    site = Site.of(site)
    return Intervention(site, lambda part, axes: _like(part, _pick(site, activation, axes), site), "patch")


def steer(site: Site | str, vector: Tensor, axis: str | None = None) -> Intervention:
    """Adds `vector` along one axis (default: the last) of the part (activation addition, Turner et al. 2023)."""
    site = Site.of(site)

    def edit(part: Tensor, axes: tuple[str, ...]) -> Tensor:
        dim = axes.index(axis) if axis in axes else len(axes) - 1
        if vector.shape != part.shape[dim : dim + 1]:
            raise ShapeError(
                f"A steering vector of shape {tuple(vector.shape)} does not fit {site}: axis {axes[dim]!r} has "
                f"{part.shape[dim]} entries. Pass a vector of that length, or name another axis."
            )
        return part + vector.to(part).reshape([-1 if d == dim else 1 for d in range(part.ndim)])

    return Intervention(site, edit, "steer")


def scale(site: Site | str, factor: float) -> Intervention:
    """Multiplies the part by `factor`."""
    return Intervention(Site.of(site), lambda part, axes: part * factor, f"scale by {factor:g}")


def clamp(site: Site | str, low: float | None = None, high: float | None = None) -> Intervention:
    """Keeps the part between `low` and `high`."""
    if low is None and high is None:
        raise InputError(f"clamp at {site} has neither low nor high. Give at least one of them.")
    return Intervention(Site.of(site), lambda part, axes: part.clamp(low, high), "clamp")


def apply_all(interventions: Sequence[Intervention], axes: tuple[str, ...], x: Tensor) -> Tensor:
    """The activation with every intervention applied, in order; `x` itself is left as it was."""
    y = x.clone()
    for intervention in interventions:
        part = intervention.site.select(y, axes)
        edited = intervention.edit(part, axes)
        if edited.shape != part.shape:
            raise ShapeError(
                f"{intervention} gave shape {tuple(edited.shape)} for a part of shape {tuple(part.shape)}. "
                "An edit returns the shape it was given."
            )
        intervention.site.write(y, edited, axes)
    return y


def _pick(site: Site, activation: Tensor, axes: tuple[str, ...]) -> Tensor:
    """The site's part of another activation of the same hook, the batch left whole."""
    if activation.ndim != len(axes):
        raise ShapeError(f"{site} has axes {axes}; the activation given has shape {tuple(activation.shape)}.")
    whole_batch = {axis: index for axis, index in site.index.items() if axis != "batch" or len(activation) > 1}
    return Site(site.hook, whole_batch).select(activation, axes)


def _like(part: Tensor, other: Tensor, site: Site) -> Tensor:
    """`other` with one row repeated for the whole batch if need be; any other difference of shape is an error."""
    if other.shape[1:] != part.shape[1:] or len(other) not in (1, len(part)):
        raise ShapeError(
            f"At {site} the activation given has shape {tuple(other.shape)}, the one it replaces {tuple(part.shape)}. "
            "Take both from inputs of the same size."
        )
    return other.to(part).expand_as(part)
