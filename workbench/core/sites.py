"""Sites: a hook and an index on its named axes, written as one string in Python, commands, links and files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any

import torch
from torch import Tensor

from workbench.core.axes import is_network_sized
from workbench.core.errors import InputError, UnknownNameError, short
from workbench.core.protocols import HasHooks
from workbench.core.reading import DIGITS

Index = int | tuple[int, ...] | slice
MOST_ENTRIES = 1_000_000
"""Maximum number of entries in an index that lists them."""
_SITE = re.compile(r"(?P<hook>[^\[\]\s]+)(\[(?P<index>[^\[\]]*)\])?")
_ENTRY = f"-?{DIGITS}"
_INDEX = re.compile(rf"{_ENTRY}(\|{_ENTRY})*|({_ENTRY})?:({_ENTRY})?")


@dataclass(frozen=True)
class Site:
    """Part of one activation, such as `blocks.0.attn.hook_z[head=5,pos=-1]`; without an index, all of it.

    Attributes:
        hook: Name of the hook.
        index: Maps axes to one entry (`head=5`), several (`head=1|4|5`) or a range (`pos=2:6`).

    Raises:
        InputError: If an index is not one of these.

    Example:
        >>> site = workbench.Site.parse("blocks.0.attn.hook_z[head=5,pos=2:6]")
        >>> site.hook, site.index["head"], str(site)
        ('blocks.0.attn.hook_z', 5, 'blocks.0.attn.hook_z[head=5,pos=2:6]')
    """

    hook: str
    index: Mapping[str, Any] = field(default_factory=dict)  # an Index, once the site is made

    def __post_init__(self) -> None:
        if not isinstance(self.hook, str) or not isinstance(self.index, Mapping):
            raise InputError(
                f"Site({short(self.hook)}, {short(self.index)}) is not a site. Give the name of a hook and a mapping "
                "from axes to indices, such as {'head': 5}."
            )
        checked = {axis: _as_index(axis, index) for axis, index in self.index.items()}
        object.__setattr__(self, "index", checked)

    @classmethod
    def parse(cls, text: str) -> Site:
        """Parse a site from its text; raises InputError if it is malformed."""
        match = _SITE.fullmatch(text.strip()) if isinstance(text, str) else None
        if match is None:
            raise InputError(f"{short(text)} is not a site. Write hook[axis=index,...], such as hook_z[head=5,pos=-1].")
        index: dict[str, Index] = {}
        for part in match["index"].split(",") if match["index"] is not None else ():
            axis, equals, value = (piece.strip() for piece in part.partition("="))
            if not axis or not equals or not _INDEX.fullmatch(value):
                raise InputError(
                    f"{short(part)} in site {short(text)} is not an index. Write axis=5, axis=1|4|5 or axis=2:6, with "
                    "whole numbers of at most 19 digits."
                )
            if axis in index:
                raise InputError(f"Axis {short(axis)} is indexed twice in site {short(text)}. Index each axis once.")
            index[axis] = _parse_index(value)
        return cls(match["hook"], index)

    @classmethod
    def of(cls, site: Any) -> Site:
        """Return a site, parsing it if it is text."""
        if not isinstance(site, Site | str):
            raise InputError(f"{short(site)} is not a site. Give text such as 'hook_z[head=5]', or a Site.")
        return site if isinstance(site, Site) else cls.parse(site)

    def __str__(self) -> str:
        inside = ",".join(f"{axis}={_print_index(value)}" for axis, value in self.index.items())
        return f"{self.hook}[{inside}]" if inside else self.hook

    def __hash__(self) -> int:
        return hash(str(self))

    def resolve(self, model: HasHooks) -> Site:
        """Check this site against a model: its hook, its axes, and every index on an axis of fixed length."""
        if self.hook not in model.hook_dict:
            raise UnknownNameError("hook", self.hook, model.hook_dict, where=f" in {type(model).__name__}")
        axes = model.hook_dict[self.hook].axes
        for axis in self.index:
            if axis not in axes:
                raise UnknownNameError("axis", axis, axes, where=f" at {self.hook}")
        if fixed := [axis for axis in self.index if is_network_sized(axis)]:
            sizes = dict(zip(axes, model.trace()[self.hook].shape, strict=True))
            self.check({axis: sizes[axis] for axis in fixed})
        return self

    def check(self, sizes: Mapping[str, int]) -> None:
        """Raise InputError if an index is out of range for the given axis lengths."""
        for axis, index in self.index.items():
            if axis not in sizes:
                continue
            entries = (index,) if isinstance(index, int) else index if isinstance(index, tuple) else ()
            for entry in entries:
                if not -sizes[axis] <= entry < sizes[axis]:
                    raise InputError(
                        f"Index {entry} is out of range on axis {axis!r} of {self.hook}: it has {sizes[axis]} "
                        f"entries, 0 to {sizes[axis] - 1}. The nearest is {min(max(entry, 0), sizes[axis] - 1)}."
                    )
            if isinstance(index, slice):
                self._check_range(axis, index, sizes[axis])

    def _check_range(self, axis: str, index: slice, size: int) -> None:
        """Raise InputError if a range is empty or exceeds the axis, which Python would clip silently."""
        inside = range(*index.indices(size))
        if any(end is not None and not -size <= end <= size for end in (index.start, index.stop)):
            start, stop = (inside.start, inside.stop) if inside else (0, size)
            raise InputError(
                f"Range {_print_index(index)} reaches outside axis {axis!r} of {self.hook}, which has {size} entries. "
                f"The nearest range inside is {start}:{stop}."
            )
        if not inside:
            raise InputError(
                f"Range {_print_index(index)} is empty on axis {axis!r} of {self.hook}, which has {size} entries. Use "
                f"a range inside 0:{size} whose end is larger than its start."
            )

    def select(self, x: Tensor, axes: tuple[str, ...]) -> Tensor:
        """Select the site from an activation; all axes are kept, one entry gives an axis of length 1."""
        return x[self._mesh(x, axes)]

    def write(self, x: Tensor, values: Tensor, axes: tuple[str, ...]) -> None:
        """Write the site's part of an activation in place."""
        x[self._mesh(x, axes)] = values

    def _mesh(self, x: Tensor, axes: tuple[str, ...]) -> tuple[slice | Tensor, ...]:
        """Build an index that keeps all axes: slices, or an open mesh if an axis has several entries."""
        sizes = dict(zip(axes, x.shape, strict=True))
        self.check(sizes)
        parts = [_as_slice(self.index.get(axis, slice(None)), n) for axis, n in sizes.items()]
        slices = [part for part in parts if isinstance(part, slice)]
        if len(slices) == len(parts):
            return tuple(slices)  # a view, with no copy
        rows = [
            torch.arange(n, device=x.device)[part] if isinstance(part, slice) else torch.tensor(part, device=x.device)
            for part, n in zip(parts, x.shape, strict=True)
        ]
        return torch.meshgrid(*rows, indexing="ij")


def _as_slice(index: Index, size: int) -> slice | tuple[int, ...]:
    if isinstance(index, int):
        return slice(index % size, index % size + 1)
    return index if isinstance(index, slice) else tuple(i % size for i in index)


def _as_index(axis: object, index: object) -> Index:
    """The index in its one form: an int, a tuple of several, or a slice without a step."""
    if isinstance(index, slice):
        ends = [end if end is None else _entry(axis, end) for end in (index.start, index.stop)]
        if index.step not in (None, 1):
            raise InputError(f"The range {index} on axis {short(axis)} has a step. Name its entries instead.")
        return slice(*ends)
    if isinstance(index, tuple | list | range):
        if index[MOST_ENTRIES:]:
            raise InputError(f"The index on axis {short(axis)} has over {MOST_ENTRIES:,} entries. Use a slice.")
        entries = tuple(_entry(axis, entry) for entry in index)
        if not entries:
            raise InputError(f"The index on axis {short(axis)} is empty. Name at least one entry, or leave it out.")
        return entries if len(entries) > 1 else entries[0]
    return _entry(axis, index)


def _entry(axis: object, entry: object) -> int:
    """A whole number of Python, NumPy or torch, as an int that fits into 64 bits."""
    if isinstance(entry, Tensor) and entry.ndim == 0 and not entry.is_floating_point():
        entry = entry.item()
    if isinstance(entry, Integral) and not isinstance(entry, bool) and abs(int(entry)) < 2**63:
        return int(entry)
    raise InputError(f"{short(entry)} on axis {short(axis)} is not an index. Give a whole number, several, or a slice.")


def _parse_index(text: str) -> Index:
    if ":" in text:
        start, stop = (int(t) if t else None for t in text.split(":"))
        return slice(start, stop)
    return tuple(int(t) for t in text.split("|"))


def _print_index(index: Index) -> str:
    if isinstance(index, slice):
        return f"{'' if index.start is None else index.start}:{'' if index.stop is None else index.stop}"
    return "|".join(map(str, index)) if isinstance(index, tuple) else str(index)
