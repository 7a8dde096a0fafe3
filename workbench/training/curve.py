"""Curve of a training: measurements by step."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from workbench.core.notebook import show_in_notebook, write_fields
from workbench.core.reading import read_json

Column = list[float | None]


@dataclass(frozen=True)
class Curve:
    """Table of measurements with one row per step; None where a series was not measured.

    Steps count completed optimiser steps.
    """

    __repr__ = write_fields
    _repr_mimebundle_ = show_in_notebook

    step: list[int] = field(default_factory=list)
    series: dict[str, Column] = field(default_factory=dict)

    def with_point(self, step: int, values: Mapping[str, float]) -> "Curve":
        """Return the curve with more values at its last step or at a later one."""
        new_row = not self.step or step > self.step[-1]
        steps = [*self.step, step] if new_row else list(self.step)
        series = {name: [*column, None] if new_row else list(column) for name, column in self.series.items()}
        for name, value in values.items():
            series[name] = [*series.get(name, [None] * len(steps))[:-1], float(value)]
        return Curve(steps, series)

    def append(self, later: "Curve") -> "Curve":
        """Append the curve of another run, with steps and seconds counted on from this one."""
        offset = self.step[-1] if self.step else 0
        names = [*self.series, *(name for name in later.series if name not in self.series)]
        columns: dict[str, Column] = {}
        for name in names:
            start = self.last("seconds") if name == "seconds" and name in self.series else 0
            after = later.series.get(name, [None] * len(later.step))
            before = self.series.get(name, [None] * len(self.step))
            columns[name] = [*before, *(None if v is None else v + start for v in after)]
        return Curve([*self.step, *(offset + step for step in later.step)], columns)

    def points(self, name: str) -> list[tuple[int, float]]:
        """Return the measurements of one series as (step, value)."""
        return [(step, value) for step, value in zip(self.step, self.series[name], strict=True) if value is not None]

    def last(self, name: str) -> float:
        """Return the last measurement of a series."""
        return self.points(name)[-1][1]

    def table(self) -> dict[str, list]:
        """Return the table of `curve.json`: "step" and one list per series, with None for infinities and NaN."""
        finite = {
            name: [v if v is not None and math.isfinite(v) else None for v in column]
            for name, column in self.series.items()
        }
        return {"step": list(self.step), **finite}

    def to_json(self) -> str:
        """Return the text of `curve.json`."""
        return json.dumps(self.table(), allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "Curve":
        """Read the text of `to_json`."""
        table = read_json(text, "A training curve")
        return cls(table.pop("step"), table)
