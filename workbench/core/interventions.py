"""Interventions on an activation at a site. Each is a pure function of the part it replaces."""

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
"""Maps the selected part (all axes kept) and the names of its axes to a part of the same shape."""


@dataclass(frozen=True)
class Intervention:
    """An edit at a site, to be applied with `model.edited([...])` or `sweep`.

    Example:
        >>> model = workbench.load("digits_mlp")
        >>> with model.edited([workbench.interventions.zero("blocks.0.hook_post[unit=7]")]):
        ...     logits = model(model.example(2))
    """

    site: Site
    edit: Edit
    name: str

    def __str__(self) -> str:
        return f"{self.name} {self.site}"


def require_interventions(edits: Any) -> tuple[Intervention, ...]:
    """Return the interventions of one condition; raises InputError for anything else."""
    found: list[Intervention] = []
    for one in edits if isinstance(edits, Iterable) and not isinstance(edits, Tensor) else [edits]:
        if not isinstance(one, Intervention):
            raise InputError(
                f"{short(one)} is not an intervention. Pass a list of them, such as [zero('blocks.0.hook_mlp_out')]."
            )
        found.append(one)
    return tuple(found)


@check_arguments
def zero(site: Site | str) -> Intervention:
    """Set the part to zero. Zero is often off distribution: compare with `mean` and `resample`.

    Args:
        site: Part of an activation.

    Example:
        >>> str(workbench.interventions.zero("blocks.0.hook_post[unit=7]"))
        'zero blocks.0.hook_post[unit=7]'
    """
    return Intervention(Site.of(site), lambda part, axes: torch.zeros_like(part), "zero")


@check_arguments
def mean(site: Site | str, reference: Tensor) -> Intervention:
    """Set the part to its mean over a reference batch.

    Args:
        site: Part of an activation.
        reference: Activations of the same hook on the reference batch.

    Example:
        >>> model, hook = workbench.load("digits_mlp"), "blocks.0.hook_post"
        >>> edit = workbench.interventions.mean(hook, model.cache(model.example(8))[hook])
        >>> with model.edited([edit]):
        ...     logits = model(model.example(2))
        >>> logits[0].equal(logits[1])
        True
    """
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
    """Set each example's part to that of a random row of a reference batch (resampling ablation; Chan et al. 2022).

    Args:
        site: Part of an activation.
        reference: Activations of the same hook on the reference batch.
        generator: Draws the rows. The same rows are used each time the intervention is applied.

    Example:
        >>> reference = torch.arange(6.0).reshape(3, 2)
        >>> edit = workbench.interventions.resample("hook_x", reference, torch.Generator().manual_seed(0))
        >>> edit.edit(torch.zeros(4, 2), ("batch", "unit")).shape
        torch.Size([4, 2])
    """
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
    """Set the part to that of another run, row by row (activation patching; Meng et al. 2022).

    Args:
        site: Part of an activation.
        activation: Activation of the same hook in the other run; a single row is used for all examples.

    Example:
        >>> edit = workbench.interventions.patch("hook_x[unit=1]", torch.tensor([[1.0, 2.0]]))
        >>> edit.edit(torch.zeros(3, 1), ("batch", "unit")).tolist()
        [[2.0], [2.0], [2.0]]
    """
    site = Site.of(site)
    return Intervention(site, lambda part, axes: _fit(part, _pick(site, activation, axes), axes, site), "patch")


@check_arguments
def steer(site: Site | str, vector: Tensor, axis: str | None = None) -> Intervention:
    """Add a vector along one axis of the part (activation addition; Turner et al. 2023).

    Args:
        site: Part of an activation.
        vector: Numbers to add, one for each entry of the axis.
        axis: Name of the axis. By default the last one.

    Example:
        >>> edit = workbench.interventions.steer("hook_x", torch.tensor([0.0, 1.0]))
        >>> edit.edit(torch.zeros(2, 2), ("batch", "unit")).tolist()
        [[0.0, 1.0], [0.0, 1.0]]
    """
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
    """Multiply the part by a number.

    Args:
        site: Part of an activation.
        factor: The number.

    Example:
        >>> workbench.interventions.scale("hook_x", 2.0).edit(torch.ones(1, 2), ("batch", "unit"))
        tensor([[2., 2.]])
    """
    site = Site.of(site)
    if not isfinite(factor):
        raise InputError(f"A factor of {factor} at {site} is not finite. Pass a number such as 0.5 or -1.")
    return Intervention(site, lambda part, axes: part * factor, f"scale by {factor:g}")


@check_arguments
def clamp(site: Site | str, low: float | None = None, high: float | None = None) -> Intervention:
    """Clamp the part to a range.

    Args:
        site: Part of an activation.
        low: Lower end. By default none.
        high: Upper end. By default none.

    Example:
        >>> workbench.interventions.clamp("hook_x", high=0.5).edit(torch.ones(1, 2), ("batch", "unit"))
        tensor([[0.5000, 0.5000]])
    """
    site = Site.of(site)
    bounds = [bound for bound in (low, high) if bound is not None]
    if not bounds:
        raise InputError(f"clamp at {site} has neither low nor high. Give at least one of them.")
    if any(map(isnan, bounds)) or bounds != sorted(bounds):
        raise InputError(f"clamp at {site} from {low} to {high} leaves no value. Give a low that is at most high.")
    return Intervention(site, lambda part, axes: part.clamp(low, high), "clamp")


def apply_all(interventions: Sequence[Intervention], axes: tuple[str, ...], x: Tensor) -> Tensor:
    """Apply all interventions in order to a copy of an activation."""
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
    """Return the index of the batch among the axes; raises InputError if the activation has no batch."""
    if "batch" not in axes:
        raise InputError(
            f"{site.hook} has axes {axes} and no batch, so it has neither a mean over examples nor other examples' "
            "values. Use zero, scale, clamp, steer or patch there."
        )
    return axes.index("batch")


def _pick(site: Site, activation: Tensor, axes: tuple[str, ...]) -> Tensor:
    """Select the site from another activation of the same hook; an index on the batch is ignored for a single row."""
    _require_rank(site, activation, axes)
    single = "batch" in axes and activation.shape[axes.index("batch")] == 1
    index = {axis: entry for axis, entry in site.index.items() if axis != "batch" or not single}
    return Site(site.hook, index).select(activation, axes)


def _fit(part: Tensor, other: Tensor, axes: tuple[str, ...], site: Site) -> Tensor:
    """Expand a single row of `other` to the batch of `part`; raises ShapeError for any other difference of shape."""
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
    """Convert `other` to the device of `part`, and to its dtype unless that would truncate fractions."""
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
    """Return the dtype of a mean: that of the tensor, or float for integers."""
    return x.dtype if x.is_floating_point() or x.is_complex() else torch.get_default_dtype()
