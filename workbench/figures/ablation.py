"""Ablation: bars sorted by effect, the strongest units with their intervals."""

from __future__ import annotations

import plotly.graph_objects as go

from workbench.analysis.ablation import Ablation
from workbench.figures.alt import describe
from workbench.figures.figure import figure
from workbench.figures.interval import half_width
from workbench.figures.numerals import short
from workbench.figures.table import examples, frame, table
from workbench.figures.theme import BLUE, GREY, ORANGE, make_figure

SHOWN = 40
"""Units in the picture, those with the largest effect; the table has all."""


@figure.register
def _(result: Ablation) -> go.Figure:
    mean, spread = result.effect.mean(dim=1), half_width(result.effect)
    strongest = mean.abs().argsort(descending=True)[:SHOWN]
    order = strongest[mean[strongest].argsort()]
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
            error_y={"type": "data", "array": spread[order].nan_to_num().tolist(), "thickness": 1, "color": GREY},
            customdata=[f"{result.hook}[{result.axis}={unit}]" for unit in order.tolist()],
            hovertemplate="%{customdata}<br>%{y:.3g}<extra></extra>",
        )
    )
    return picture


@describe.register
def _(result: Ablation) -> str:
    mean, spread = result.effect.mean(dim=1), half_width(result.effect)
    unit = int(mean.abs().argmax())
    clear = int((mean.abs() > spread).sum())
    n_units, n = result.effect.shape
    sure = f" (95 % interval ± {short(spread[unit])})" if n > 1 else ""
    told = f"; {clear} of {n_units} intervals exclude zero" if n > 1 else f", the largest of {n_units} effects"
    return (
        f"{result.method.capitalize()} ablation of {result.hook}[{result.axis}={unit}] changes the metric most, by "
        f"{short(mean[unit])}{sure} from {short(result.baseline.mean())} over {n} example{'s' * (n > 1)}{told}."
    )


@table.register
def _(result: Ablation) -> object:
    columns = {"effect": result.effect, "baseline": result.baseline[None]}
    return examples(frame((result.axis, "batch"), columns)).assign(hook=result.hook, method=result.method)
