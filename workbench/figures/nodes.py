"""Effects of nodes: bars sorted by effect, the strongest nodes with their intervals."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from workbench.analysis.circuits.node_effects import NodeEffects
from workbench.core.intervals import mean_interval
from workbench.figures.alt import describe
from workbench.figures.figure import figure
from workbench.figures.interval import between, caution, over
from workbench.figures.numerals import short
from workbench.figures.ranking import ranked, ranking
from workbench.figures.table import examples, frame, table
from workbench.figures.theme import BLUE, ORANGE, error_bars, make_figure

SHOWN = 40
"""Nodes in the picture, those with the largest effect; the table has all."""
MEASURE = {"exact": "change of the metric", "atp": "estimated change of the metric"}


@figure.register
def _(result: NodeEffects) -> go.Figure:
    mean = result.effect.mean(dim=1)
    strongest = mean.abs().argsort(descending=True)[:SHOWN]
    order = strongest[mean[strongest].argsort()]
    low, high = mean_interval(result.effect[order])
    title = f"Nodes replaced ({result.ablation}), by {result.method}"
    if len(order) < len(mean):
        title += f": {len(order)} of {len(mean)}"
    picture = make_figure(title, "node", MEASURE.get(result.method, "strength"))
    values = mean[order].tolist()
    picture.add_trace(
        go.Bar(
            x=[result.nodes[node] for node in order.tolist()],
            y=values,
            marker_color=[BLUE if value < 0 else ORANGE for value in values],
            error_y=error_bars(mean[order], low, high),
            hovertemplate="%{x}<br>%{y:.3g}<extra></extra>",
        )
    )
    return picture


@describe.register
def _(result: NodeEffects) -> str:
    mean = result.effect.mean(dim=1)
    node, n = int(mean.abs().argmax()), result.effect.shape[1]
    sure, note = between(mean_interval(result.effect[node])), f"; {result.note}" if result.note else ""
    return (
        f"Replacing {result.nodes[node]} changes the metric most of {len(mean)} nodes, by {short(mean[node])}{sure} "
        f"from {short(result.clean.mean())} {over(n)} ({result.method}, {result.ablation}); "
        f"with every write replaced it is {short(result.corrupted.mean())}{note}{caution(n)}."
    )


@ranking.register
def _(result: NodeEffects) -> pd.DataFrame:
    return ranked(result.nodes, result.effect)


@table.register
def _(result: NodeEffects) -> object:
    rows = examples(frame(("node", "batch"), {"effect": result.effect, "clean": result.clean[None]}))
    return rows.assign(site=[result.nodes[int(node)] for node in rows["node"]], method=result.method)
