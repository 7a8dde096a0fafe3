"""Templates of titles and sentences: fields of a result in braces, formatted by the names in its coordinates.

- `{n}`, `{n:,}`, `{chance:%}`: a number, with thousands separators, as a percentage.
- `{method}`, `{method:title}`: a text, with a capital. `{note:; }`: with something before it unless it is empty.
- `{hooks}`, `{hooks:n}`, `{hooks:span}`: the members, their number, the first and the last.
- `{clean}`, `{std:max}`: the mean of a tensor, or its `max`, `min`, `sum` or `median`; `{share:max%}` as a percentage.
- `{effect:top}`: the strongest mean over the examples with its interval; `{effect:site}` names it as a site, and
  `{score:reader}` is its label on that axis alone.
- `{score:list}`: each entry with its label. `{share:each}`: the largest entry for each entry of the first axis.
- `{effect:over}`, `{effect:clear}`, `{effect:caution}`: the number of examples, of intervals that exclude zero, and a
  remark if there are few.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from workbench.core.coordinates import SAMPLES, Array, find_array, name_place, view_of
from workbench.core.intervals import mean_interval
from workbench.figures.numerals import short
from workbench.figures.uncertainty import warn_of_few, write_count, write_interval

REDUCTIONS = ("max", "min", "sum", "median", "mean")


def write_percent(share: float) -> str:
    """Write a share as a percentage with three significant digits."""
    return f"{short(100 * share)} %"


def fill(template: str, result: Any) -> str:
    """Return a template with the fields of a result."""
    return template.format_map(Fields(result)) if template else ""


@dataclass(frozen=True)
class Fields(Mapping[str, Any]):
    """Fields of a result as they are written in a sentence."""

    result: Any

    def __getitem__(self, name: str) -> Any:
        value = getattr(self.result, name)
        return TensorText(self.result, find_array(self.result, name)) if isinstance(value, Tensor) else ValueText(value)

    def __iter__(self) -> Any:
        return iter(())

    def __len__(self) -> int:
        return 0


@dataclass(frozen=True)
class ValueText:
    """A number, a text or a sequence as it is written in a sentence."""

    value: Any

    def __format__(self, form: str) -> str:
        value = self.value
        if isinstance(value, str):
            return value.capitalize() if form == "title" else f"{form}{value}" if value else ""
        if isinstance(value, tuple | list):
            ends = {"n": f"{len(value):,}", "span": " to ".join(dict.fromkeys(map(str, (*value[:1], *value[-1:]))))}
            return ends[form] if form else ", ".join(map(str, value))
        return write_percent(value) if form == "%" else format(value, form) if form else short(value)


@dataclass(frozen=True)
class TensorText:
    """A tensor as it is written in a sentence."""

    result: Any
    array: Array

    def __format__(self, form: str) -> str:
        value = write_percent if form.endswith("%") else short
        name = form.removesuffix("%") or "mean"
        if name in REDUCTIONS:
            return value(getattr(self.array.tensor.double().nan_to_num(), name)())
        if name in self.array.dims:
            place = self.array.dims.index(name)
            return self.array.axes[place].label(self.find_strongest()[place])
        return getattr(self, f"write_{name}")()

    def find_strongest(self) -> tuple[int, ...]:
        """Return the index of the largest value; of ranked results, of the largest absolute value."""
        x = self.array.average().tensor
        x = (x.abs() if view_of(self.result).ranked else x).nan_to_num(-float("inf"))
        return tuple(int(i) for i in np.unravel_index(int(x.argmax()), x.shape))

    def ends(self) -> Tensor:
        """Return the ends of the intervals of the means over the samples, or those that the result holds."""
        interval = view_of(self.result).interval
        if interval is not None and self.array.samples is None:
            return torch.stack(list(interval(self.result)))
        return mean_interval(self.array.tensor.movedim(self.array.samples or 0, -1))

    def write_n(self) -> str:
        """Write the length of the first axis."""
        return f"{len(self.array.tensor):,}"

    def write_site(self) -> str:
        """Write the strongest entry as a site, or by its labels."""
        return name_place(self.array.average().axes, self.find_strongest())

    def write_top(self) -> str:
        """Write the strongest mean, with its interval."""
        place = self.find_strongest()
        return short(self.array.average().tensor[place]) + write_interval(self.ends()[(slice(None), *place)])

    def write_clear(self) -> str:
        """Write the number of intervals that exclude zero."""
        low, high = self.ends()
        n = len(low)
        if low.isnan().all():
            return f", the largest of {n} effects"
        return f"; {int(((low > 0) | (high < 0)).sum())} of {n} intervals exclude zero"

    def write_over(self) -> str:
        """Write the number of samples."""
        dim, n = self.array.dims[self.array.samples or 0], self.array.tensor.shape[self.array.samples or 0]
        return write_count(n).replace("example", SAMPLES[dim])

    def write_caution(self) -> str:
        """Write a remark if there are few samples."""
        return warn_of_few(self.array.tensor.shape[self.array.samples or 0])

    def write_list(self) -> str:
        """Write every entry with its label."""
        found = np.ndindex(*self.array.tensor.shape)
        entries = (
            (" at ".join(a.label(i) for a, i in zip(self.array.axes, index, strict=True)), index) for index in found
        )
        return ", ".join(f"{label} {short(self.array.tensor[index])}" for label, index in entries) or "none"

    def write_each(self) -> str:
        """Write the largest entry for each entry of the first axis."""
        first, *rest = self.array.axes
        found = []
        for i, row in enumerate(self.array.tensor.nan_to_num()):
            place = name_place(rest, [int(j) for j in np.unravel_index(int(row.argmax()), row.shape)])
            found.append(f"{place} ({first.label(i)} {short(row.max())})")
        return ", ".join(found)
