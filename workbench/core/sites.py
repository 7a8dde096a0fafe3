"""A site is a hook and an index on its named axes: one string, used alike in Python, commands, links and files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from workbench.core.axes import INPUT_SIZED
from workbench.core.errors import InputError, UnknownNameError
from workbench.core.protocols import HasHooks

Index = int | tuple[int, ...] | slice
_SITE = re.compile(r"^(?P<hook>[^\[\]\s]+)(\[(?P<index>[^\[\]]*)\])?$")
_INDEX = re.compile(r"^-?\d+$|^-?\d+(\|-?\d+)+$|^(-?\d+)?:(-?\d+)?$")


@dataclass(frozen=True)
class Site:
    """`blocks.0.attn.hook_z[head=5,pos=-1]`: part of one activation; without an index, all of it.

    An index is one entry (`head=5`), several (`head=1|4|5`) or a range (`pos=2:6`).
    """

    hook: str
    index: Mapping[str, Index] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Site:
        """The site that `text` spells."""
        match = _SITE.match(text.strip())
        if match is None:
            raise InputError(f"{text!r} is not a site. Write hook[axis=index,...], such as hook_z[head=5,pos=-1].")
        index: dict[str, Index] = {}
        for part in filter(None, (match["index"] or "").split(",")):
            axis, equals, value = (piece.strip() for piece in part.partition("="))
            if not equals or not _INDEX.match(value):
                raise InputError(f"{part!r} in site {text!r} is not an index. Write axis=5, axis=1|4|5 or axis=2:6.")
            if axis in index:
                raise InputError(f"Axis {axis!r} is indexed twice in site {text!r}. Index each axis once.")
            index[axis] = _parse_index(value)
        return cls(match["hook"], index)

    @classmethod
    def of(cls, site: Site | str) -> Site:
        """A site, parsed when it comes as text."""
        return site if isinstance(site, Site) else cls.parse(site)

    def __str__(self) -> str:
        inside = ",".join(f"{axis}={_print_index(value)}" for axis, value in self.index.items())
        return f"{self.hook}[{inside}]" if inside else self.hook

    def __hash__(self) -> int:
        return hash(str(self))

    def resolve(self, model: HasHooks) -> Site:
        """This site, checked against the model: hook, axes, and every index whose range the network fixes."""
        if self.hook not in model.hook_dict:
            raise UnknownNameError("hook", self.hook, model.hook_dict, where=f" in {type(model).__name__}")
        axes = model.hook_dict[self.hook].axes
        for axis in self.index:
            if axis not in axes:
                raise UnknownNameError("axis", axis, axes, where=f" at {self.hook}")
        if set(self.index) - set(INPUT_SIZED):
            shape = model.trace()[self.hook].shape
            self.check({a: n for a, n in zip(axes, shape, strict=True) if a not in INPUT_SIZED})
        return self

    def check(self, sizes: Mapping[str, int]) -> None:
        """Raises when an index lies outside the given axis lengths."""
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
            if isinstance(index, slice) and not range(*index.indices(sizes[axis])):
                raise InputError(
                    f"Range {_print_index(index)} is empty on axis {axis!r} of {self.hook}, which has {sizes[axis]} "
                    f"entries. Use a range inside 0:{sizes[axis]}."
                )

    def select(self, x: Tensor, axes: tuple[str, ...]) -> Tensor:
        """The site's part of an activation, all axes kept (one entry leaves an axis of length 1)."""
        return x[self._mesh(x, axes)]

    def write(self, x: Tensor, values: Tensor, axes: tuple[str, ...]) -> None:
        """Writes the site's part of an activation in place."""
        x[self._mesh(x, axes)] = values

    def _mesh(self, x: Tensor, axes: tuple[str, ...]) -> tuple[slice | Tensor, ...]:
        """An index that keeps all axes: slices, and an open mesh when an axis takes several entries."""
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


def _parse_index(text: str) -> Index:
    if ":" in text:
        start, stop = (int(t) if t else None for t in text.split(":"))
        return slice(start, stop)
    entries = tuple(int(t) for t in text.split("|"))
    return entries if len(entries) > 1 else entries[0]


def _print_index(index: Index) -> str:
    if isinstance(index, slice):
        return f"{'' if index.start is None else index.start}:{'' if index.stop is None else index.stop}"
    return "|".join(map(str, index)) if isinstance(index, tuple) else str(index)
