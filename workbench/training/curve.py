"""What was measured during training, by step."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from workbench.core.reading import read_json

Column = list[float | None]


@dataclass(frozen=True)
class Curve:
    """A table of what was measured during training: one row per step, None where a series was not measured there.

    Steps count completed optimiser steps.
    """

    step: list[int] = field(default_factory=list)
    series: dict[str, Column] = field(default_factory=dict)

    def with_point(self, step: int, values: Mapping[str, float]) -> "Curve":
        """The curve with more values at its last step or at a later one."""
        new_row = not self.step or step > self.step[-1]
        steps = [*self.step, step] if new_row else list(self.step)
        series = {name: [*column, None] if new_row else list(column) for name, column in self.series.items()}
        for name, value in values.items():
            series[name] = [*series.get(name, [None] * len(steps))[:-1], float(value)]
        return Curve(steps, series)

    def followed_by(self, later: "Curve") -> "Curve":
        """This curve and then another run's, its steps and seconds counted on from here."""
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
        """The measurements of one series as (step, value)."""
        return [(step, value) for step, value in zip(self.step, self.series[name], strict=True) if value is not None]

    def last(self, name: str) -> float:
        """The newest measurement of a series."""
        return self.points(name)[-1][1]

    def table(self) -> dict[str, list]:
        """What `curve.json` holds: "step" and one list of the same length per series; what is not finite is None."""
        finite = {
            name: [v if v is not None and math.isfinite(v) else None for v in column]
            for name, column in self.series.items()
        }
        return {"step": list(self.step), **finite}

    def to_json(self) -> str:
        """The content of `curve.json`."""
        return json.dumps(self.table(), allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "Curve":
        """The curve that `to_json` wrote."""
        table = read_json(text, "A training curve")
        return cls(table.pop("step"), table)
