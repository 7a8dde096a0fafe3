"""Training curves: one panel per quantity."""

from __future__ import annotations

from itertools import cycle

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from workbench.figures.alt import describe
from workbench.figures.figure import figure
from workbench.figures.numerals import short
from workbench.figures.table import table
from workbench.figures.theme import SERIES, TEMPLATE
from workbench.training.curve import Curve


@figure.register
def _(result: Curve) -> go.Figure:
    panels = group_by_quantity(list(result.series))
    picture = make_subplots(rows=max(1, len(panels)), cols=1, shared_xaxes=True, vertical_spacing=0.06)
    colours = cycle(SERIES)
    for row, (quantity, names) in enumerate(panels.items(), start=1):
        for name, colour in zip(names, colours, strict=False):
            points = result.points(name)
            x, y = [step for step, _ in points], [value for _, value in points]
            picture.add_trace(go.Scatter(x=x, y=y, name=name.replace("_", " "), line_color=colour), row=row, col=1)
        picture.update_yaxes(title_text=quantity, row=row, col=1)
    picture.update_xaxes(title_text="step", row=max(1, len(panels)), col=1)
    return picture.update_layout(template=TEMPLATE, height=120 + 180 * len(panels), title="Training")


def group_by_quantity(names: list[str]) -> dict[str, list[str]]:
    """Group series by the last word of their name, such as loss or accuracy."""
    panels: dict[str, list[str]] = {}
    for name in names:
        panels.setdefault(name.rpartition("_")[2], []).append(name)
    return panels


@describe.register
def _(result: Curve) -> str:
    ends = [
        f"{name.replace('_', ' ')} goes from {short(result.points(name)[0][1])} to {short(result.last(name))}"
        for name in result.series
        if result.points(name)
    ]
    steps = f"over {result.step[-1]:,} steps" if result.step else "no measurements yet"
    return f"Training {steps}: {'; '.join(ends)}." if ends else f"Training: {steps}."


@table.register
def _(result: Curve) -> pd.DataFrame:
    return pd.DataFrame(result.table())
