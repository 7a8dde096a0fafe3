"""Results with coordinates: the names and labels of their axes, from which every view of a result names its parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, ClassVar, get_type_hints

from torch import Tensor

from workbench.core.errors import InputError
from workbench.core.notebook import show_in_notebook, write_fields

SAMPLES = {"batch": "example", "episode": "paired episode"}
"""Axes of samples, and the names of these."""
NAMES = {"batch": "example"}
"""Names of axes for readers, where they differ from those in annotations."""


@dataclass(frozen=True)
class Axis:
    """Name of an axis and its entries: numbers, or texts that stand for themselves.

    `hook` is the activation that numbered entries index, `texts` says more about each entry: its token, its input.
    """

    name: str
    entries: Sequence[int | float | str]
    hook: str = ""
    texts: Sequence[str] = ()
    dim: str = ""
    """Name in the shape annotation."""

    def label(self, i: int) -> str:
        """Return the name of an entry."""
        entry = self.entries[i]
        text = f" {self.texts[i]}" if self.texts and self.texts[i] else ""
        return entry if isinstance(entry, str) else f"{self.name} {entry:g}{text}"

    def site(self, i: int) -> str:
        """Return an entry as a site if it belongs to a hook, else its name."""
        return place_in(self.hook, f"{self.name}={self.entries[i]}") if self.hook else self.label(i)


def place_in(hook: str, index: str) -> str:
    """Return a site: the index goes before those that the hook already has."""
    name, bracket, rest = hook.partition("[")
    return f"{name}[{index}{',' + rest if bracket else ']'}" if index else hook


@dataclass(frozen=True)
class View:
    """Names for the figure, table and sentence of a class of results.

    Titles, quantities and sentences are templates with fields of the result: see `workbench.figures.template`.
    """

    main: str = ""
    """Tensor to draw; by default the first one with the most axes."""
    rows: str = ""
    """Tensor whose entries are the rows of the table; by default the one to draw."""
    quantity: str = ""
    """Label of the drawn values."""
    series: Mapping[str, str] = field(default_factory=dict)
    """Names of tensors that are drawn side by side, by field."""
    ranked: bool = False
    """Sort by the mean over the examples, and show the strongest."""
    sort: bool = False
    """Sort the rows of the table by the value, and leave out those without one."""
    interval: Callable[[Any], Sequence[Tensor]] | None = None
    """Returns the low and high ends of the drawn values, if they do not follow from the examples."""
    level: str = ""
    """Field with a value to compare with, drawn as a line."""
    title: str = ""
    sentence: str = ""
    empty: str = ""
    """Sentence for a result whose values are all NaN."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """A result that shows its figure in a notebook and names its own parts; subclasses are frozen dataclasses.

    Axes are named by the shape annotations. A field named like an axis, or its plural, holds the entries: `hooks` for
    an axis `hook`. `hook` and `axis` are those of an axis `unit`, whose entries are sites.
    """

    view: ClassVar[View] = View()
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict, metadata={"added": True})
    """Names of examples (`batch`) and tokens (`pos`, `query`, `key`), from the inputs."""

    def __init_subclass__(cls) -> None:
        cls.__repr__ = write_fields  # in the class itself, else the dataclass decorator replaces it

    def coordinates(self) -> Mapping[str, Axis | tuple[str, ...]]:
        """Return axes that no field is named for, and the names of variadic ones (`*shape`)."""
        return {}

    __repr__ = write_fields
    _repr_mimebundle_ = show_in_notebook


@dataclass(frozen=True)
class Array:
    """Tensor of a result with its axes."""

    name: str
    axes: tuple[Axis, ...]
    tensor: Tensor

    @property
    def dims(self) -> tuple[str, ...]:
        """Names of the axes in the annotation, by which tensors are matched."""
        return tuple(axis.dim for axis in self.axes)

    @property
    def samples(self) -> int | None:
        """Place of the axis of examples or episodes, if there is one."""
        return next((i for i, dim in enumerate(self.dims) if dim in SAMPLES), None)

    def average(self) -> Array:
        """Average over the samples."""
        if (place := self.samples) is None:
            return self
        return Array(self.name, self.axes[:place] + self.axes[place + 1 :], self.tensor.double().mean(dim=place))


def list_arrays(result: Any) -> list[Array]:
    """Return the tensors of a result in the order of declaration.

    Raises:
        InputError: If it is not a dataclass, or has no tensors.
    """
    if not is_dataclass(result) or isinstance(result, type):
        raise InputError(f"An object of type {type(result).__name__} is not a result. Pass the result of an analysis.")
    names = [f.name for f in fields(result) if isinstance(getattr(result, f.name), Tensor)]
    if not names:
        raise InputError(f"A {type(result).__name__} has no tensor to draw. Use its fields instead.")
    return [find_array(result, name) for name in names]


def find_array(result: Any, name: str) -> Array:
    """Return a tensor of a result with its axes."""
    x = getattr(result, name).detach().cpu()
    axes = (find_axis(result, dim, n) for dim, n in zip(name_dims(result, name), x.shape, strict=True))
    return Array(name, tuple(axes), x)


def main_array(result: Any, rows: bool = False) -> Array:
    """Return the tensor to draw, or that with the rows of the table."""
    view = view_of(result)
    if name := (rows and view.rows) or view.main:
        return find_array(result, name)
    return max(list_arrays(result), key=lambda array: array.tensor.ndim)


def view_of(result: Any) -> View:
    """Return the names for the views of a result."""
    view = getattr(type(result), "view", None)  # a tensor has a method of that name
    return view if isinstance(view, View) else View()


def name_dims(result: Any, name: str) -> tuple[str, ...]:
    """Return one name per axis of a tensor from its shape annotation; `*grid` stands for all remaining axes."""
    x, known = getattr(result, name), coordinates_of(result)
    written = getattr(get_type_hints(type(result), include_extras=True).get(name), "dim_str", "...").split()
    names: list[str] = []
    for dim in written:
        stem = dim.strip("*.#?_") or "axis"
        if dim.startswith("*") or dim == "...":
            extra = x.ndim - len(written) + 1
            given = known.get(stem, ())
            numbered = [stem] if extra == 1 else [f"{stem} {i}" for i in range(extra)]
            names += given if isinstance(given, tuple) and len(given) == extra else numbered
        else:
            names.append(stem)
    if len(names) != x.ndim:
        return tuple(f"axis {i}" for i in range(x.ndim))
    return tuple(f"{name} {i}" if name in names[:i] else name for i, name in enumerate(names))


def list_dims(result: Any) -> set[tuple[str, int]]:
    """Return the name and length of every axis of a result's tensors."""
    names = (f.name for f in fields(result) if isinstance(getattr(result, f.name), Tensor))
    return {pair for name in names for pair in zip(name_dims(result, name), getattr(result, name).shape, strict=True)}


def coordinates_of(result: Any) -> Mapping[str, Axis | tuple[str, ...]]:
    """Return the axes that a result declares itself."""
    return result.coordinates() if isinstance(result, Result) else {}


def find_axis(result: Any, dim: str, n: int) -> Axis:
    """Return an axis of `n` entries: as declared, or with the entries of the field that is named for it."""
    known = coordinates_of(result).get(dim)
    if isinstance(known, Axis) and len(known.entries) == n:
        return Axis(known.name, known.entries, known.hook, known.texts, dim)
    texts = getattr(result, "labels", {}).get(dim, ())
    entries = find_entries(result, dim, n)
    hook, axis = getattr(result, "hook", ""), getattr(result, "axis", "")
    if dim == "unit" and hook and axis:
        return Axis(axis, entries, hook, dim=dim)
    return Axis(NAMES.get(dim, dim), entries, texts=texts if len(texts) == n else (), dim=dim)


def find_entries(result: Any, dim: str, n: int) -> Sequence[int | float | str]:
    """Return the entries that a field named like the axis holds, else their numbers."""
    for name in (dim, f"{dim}s"):
        value = getattr(result, name, None)
        if isinstance(value, tuple | list) and len(value) == n and all(isinstance(x, str | int) for x in value):
            return value
        if isinstance(value, Tensor) and value.shape == (n,) and name_dims(result, name) == (dim,):
            return value.tolist()
    return range(n)


def name_place(axes: Sequence[Axis], index: Sequence[int]) -> str:
    """Return an entry of a tensor as a site, or by its labels if no axis belongs to a hook."""
    places = list(zip(axes, index, strict=True))
    hook = next((axis.hook or str(axis.entries[i]) for axis, i in places if axis.hook or axis.name == "hook"), "")
    if not hook:
        return ", ".join(axis.label(i) for axis, i in places)
    return place_in(hook, ",".join(f"{axis.name}={axis.entries[i]}" for axis, i in places if axis.name != "hook"))
