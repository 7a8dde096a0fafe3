"""Ablation: bars sorted by effect, the strongest units with their intervals."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from workbench.analysis.ablation import Ablation
from workbench.core.intervals import mean_interval
from workbench.figures.alt import describe
from workbench.figures.figure import figure
from workbench.figures.interval import between, caution, over
from workbench.figures.numerals import short
from workbench.figures.ranking import ranked, ranking
from workbench.figures.table import examples, frame, table
from workbench.figures.theme import BLUE, ORANGE, error_bars, make_figure

SHOWN = 40
"""Units in the picture, those with the largest effect; the table has all."""


@figure.register
def _(result: Ablation) -> go.Figure:
    mean = result.effect.mean(dim=1)
    strongest = mean.abs().argsort(descending=True)[:SHOWN]
    order = strongest[mean[strongest].argsort()]
    low, high = mean_interval(result.effect[order])
    title = f"{result.method.capitalize()} ablation at {result.hook}"
    if len(order) < len(mean):
        title += f": {len(order)} of {len(mean)} units"
    picture = make_figure(title, result.axis, "change of the metric")
    values = mean[order].tolist()
    picture.add_trace(
        go.Bar(
            x=[f"{result.axis} {unit}" for unit in order.tolist()],
            y=values,
            marker_color=[BLUE if value < 0 else ORANGE for value in values],
            error_y=error_bars(mean[order], low, high),
            customdata=[f"{result.hook}[{result.axis}={unit}]" for unit in order.tolist()],
            hovertemplate="%{customdata}<br>%{y:.3g}<extra></extra>",
        )
    )
    return picture


@describe.register
def _(result: Ablation) -> str:
    mean, (low, high) = result.effect.mean(dim=1), mean_interval(result.effect)
    unit = int(mean.abs().argmax())
    n_units, n = result.effect.shape
    clear = int(((low > 0) | (high < 0)).sum())
    among = f"; {clear} of {n_units} intervals exclude zero" if n > 1 else f", the largest of {n_units} effects"
    return (
        f"{result.method.capitalize()} ablation of {result.hook}[{result.axis}={unit}] changes the metric most, by "
        f"{short(mean[unit])}{between((low[unit], high[unit]))} from {short(result.baseline.mean())} {over(n)}{among}"
        f"{caution(n)}."
    )


@ranking.register
def _(result: Ablation) -> pd.DataFrame:
    names = [f"{result.hook}[{result.axis}={unit}]" for unit in range(len(result.effect))]
    return ranked(names, result.effect)


@table.register
def _(result: Ablation) -> object:
    columns = {"effect": result.effect, "baseline": result.baseline[None]}
    return examples(frame((result.axis, "batch"), columns)).assign(hook=result.hook, method=result.method)
