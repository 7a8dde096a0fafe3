"""What can be done to an activation at a site: seven edits, each a small pure function of the part it replaces."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import isfinite, isnan
from typing import Any

import torch
from torch import Tensor

from workbench.core.arguments import check_arguments
from workbench.core.errors import InputError, ShapeError, UnknownNameError, short
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


def require_interventions(edits: Any) -> tuple[Intervention, ...]:
    """The interventions of one condition, or one alone; raises `InputError` for anything else."""
    found: list[Intervention] = []
    for one in edits if isinstance(edits, Iterable) and not isinstance(edits, Tensor) else [edits]:
        if not isinstance(one, Intervention):
            raise InputError(
                f"{short(one)} is no intervention. Pass a list of them, such as [zero('blocks.0.hook_mlp_out')]."
            )
        found.append(one)
    return tuple(found)


@check_arguments
def zero(site: Site | str) -> Intervention:
    """Set the part to zero. Zero is often off distribution: compare with `mean` and `resample`."""
    return Intervention(Site.of(site), lambda part, axes: torch.zeros_like(part), "zero")


@check_arguments
def mean(site: Site | str, reference: Tensor) -> Intervention:
    """Set the part to its mean over the batch of `reference`, activations of the same hook on a reference set."""
    site = Site.of(site)
    _require_rows(site, reference)

    def edit(part: Tensor, axes: tuple[str, ...]) -> Tensor:
        batch = batch_axis(site, axes)
        every_row = Site(site.hook, {axis: index for axis, index in site.index.items() if axis != "batch"})
        given = _pick(every_row, reference, axes)
        return _fit(part, given.mean(dim=batch, keepdim=True, dtype=_averaged(given)), axes, site)

    return Intervention(site, edit, "mean")


@check_arguments
def resample(site: Site | str, reference: Tensor, generator: torch.Generator) -> Intervention:
    """Set each example's part to that of a random row of `reference` (causal scrubbing's resampling ablation)."""
    site = Site.of(site)
    _require_rows(site, reference)
    seed = int(torch.randint(2**62, (), generator=generator))  # the same rows at every application

    def edit(part: Tensor, axes: tuple[str, ...]) -> Tensor:
        batch = batch_axis(site, axes)
        _require_rank(site, reference, axes)
        draw = torch.Generator().manual_seed(seed)
        rows = torch.randint(reference.shape[batch], (part.shape[batch],), generator=draw).to(reference.device)
        return _fit(part, _pick(site, reference.index_select(batch, rows), axes), axes, site)

    return Intervention(site, edit, "resample")


@check_arguments
def patch(site: Site | str, activation: Tensor) -> Intervention:
    """Set the part to that of `activation`, the same hook in another run, row by row (or one row for all)."""
    site = Site.of(site)
    return Intervention(site, lambda part, axes: _fit(part, _pick(site, activation, axes), axes, site), "patch")


@check_arguments
def steer(site: Site | str, vector: Tensor, axis: str | None = None) -> Intervention:
    """Add `vector` along one axis of the part, by default the last (activation addition, Turner et al. 2023)."""
    site = Site.of(site)
    if vector.isnan().any():
        place = int(vector.isnan().flatten().nonzero()[0])
        raise InputError(f"The steering vector at {site} is not a number at entry {place}. Pass finite numbers.")

    def edit(part: Tensor, axes: tuple[str, ...]) -> Tensor:
        if axis is not None and axis not in axes:
            raise UnknownNameError("axis", axis, axes, where=f" at {site}")
        dim = len(axes) - 1 if axis is None else axes.index(axis)
        if vector.shape != part.shape[dim : dim + 1]:
            raise ShapeError(
                f"A steering vector of shape {tuple(vector.shape)} does not fit {site}: axis {axes[dim]!r} has "
                f"{part.shape[dim]} entries. Pass a vector of that length, or name another axis."
            )
        return part + _as(part, vector).reshape([-1 if d == dim else 1 for d in range(part.ndim)])

    return Intervention(site, edit, "steer")


@check_arguments
def scale(site: Site | str, factor: float) -> Intervention:
    """Multiply the part by `factor`."""
    site = Site.of(site)
    if not isfinite(factor):
        raise InputError(f"A factor of {factor} at {site} is not finite. Pass a number such as 0.5 or -1.")
    return Intervention(site, lambda part, axes: part * factor, f"scale by {factor:g}")


@check_arguments
def clamp(site: Site | str, low: float | None = None, high: float | None = None) -> Intervention:
    """Keep the part between `low` and `high`."""
    site = Site.of(site)
    bounds = [bound for bound in (low, high) if bound is not None]
    if not bounds:
        raise InputError(f"clamp at {site} has neither low nor high. Give at least one of them.")
    if any(map(isnan, bounds)) or bounds != sorted(bounds):
        raise InputError(f"clamp at {site} from {low} to {high} leaves no value. Give a low that is at most high.")
    return Intervention(site, lambda part, axes: part.clamp(low, high), "clamp")


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
        if not torch.can_cast(edited.dtype, y.dtype):
            raise InputError(
                f"{intervention} gave {edited.dtype} for an activation of {y.dtype}, which cannot hold it. "
                "Use zero, patch or resample there, or choose a hook with floating-point activations."
            )
        intervention.site.write(y, edited, axes)
    return y


def batch_axis(site: Site, axes: tuple[str, ...]) -> int:
    """Position of the batch among the axes; an activation that is the same for all examples has none."""
    if "batch" not in axes:
        raise InputError(
            f"{site.hook} has axes {axes} and no batch, so it has neither a mean over examples nor other examples' "
            "values. Use zero, scale, clamp, steer or patch there."
        )
    return axes.index("batch")


def _pick(site: Site, activation: Tensor, axes: tuple[str, ...]) -> Tensor:
    """The site's part of another activation of the same hook; an index on the batch needs more than one row."""
    _require_rank(site, activation, axes)
    single = "batch" in axes and activation.shape[axes.index("batch")] == 1
    index = {axis: entry for axis, entry in site.index.items() if axis != "batch" or not single}
    return Site(site.hook, index).select(activation, axes)


def _fit(part: Tensor, other: Tensor, axes: tuple[str, ...], site: Site) -> Tensor:
    """`other` with one row repeated for the whole batch if need be; any other difference of shape is an error."""
    shape = list(other.shape)
    if "batch" in axes and shape[axes.index("batch")] == 1:
        shape[axes.index("batch")] = part.shape[axes.index("batch")]
    if tuple(shape) != tuple(part.shape):
        raise ShapeError(
            f"At {site} the activation given has shape {tuple(other.shape)}, the one it replaces {tuple(part.shape)}. "
            "Take both from inputs of the same size."
        )
    return _as(part, other).expand_as(part)


def _as(part: Tensor, other: Tensor) -> Tensor:
    """`other` on the part's device and in its dtype, unless that would cut off a fraction."""
    return other.to(part) if torch.can_cast(other.dtype, part.dtype) else other.to(part.device)


def _require_rank(site: Site, activation: Tensor, axes: tuple[str, ...]) -> None:
    if activation.ndim != len(axes):
        raise ShapeError(f"{site} has axes {axes}; the activation given has shape {tuple(activation.shape)}.")


def _require_rows(site: Site, reference: Tensor) -> None:
    if not reference.numel():
        raise InputError(
            f"The reference activations for {site} have shape {tuple(reference.shape)}, so there is nothing to "
            "average or draw from. Cache the hook on at least one example."
        )


def _averaged(x: Tensor) -> torch.dtype:
    """The dtype of a mean: the tensor's own, and float for whole numbers."""
    return x.dtype if x.is_floating_point() or x.is_complex() else torch.get_default_dtype()
