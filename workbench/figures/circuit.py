"""Circuit: its strongest edges as a layered drawing, above what circuits of each size keep of the behaviour."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
import torch
from plotly.subplots import make_subplots

from workbench.analysis.circuits.circuit import Circuit
from workbench.figures.alt import describe
from workbench.figures.circuit_drawing import column_names, drawing, placed
from workbench.figures.figure import figure
from workbench.figures.numerals import percent, short
from workbench.figures.table import table
from workbench.figures.theme import BLUE, GREY, TEMPLATE

SHOWN = 60
"""Edges in the picture at most; the table has all."""
ENOUGH = 0.9
"""A circuit that keeps this share of the behaviour is quoted in the sentence."""


@figure.register
def _(result: Circuit) -> go.Figure:
    picture = make_subplots(rows=2, cols=1, row_heights=[0.62, 0.38], vertical_spacing=0.14)
    edges = result.top(SHOWN)
    places = placed(result.wiring, edges)
    for trace in drawing(result.wiring, edges, places):
        picture.add_trace(trace, row=1, col=1)
    for trace in curves(result):
        picture.add_trace(trace, row=2, col=1)
    names = column_names(places)
    picture.update_xaxes(tickvals=list(names), ticktext=list(names.values()), showgrid=False, row=1, col=1)
    picture.update_xaxes(zeroline=False, row=1, col=1).update_yaxes(visible=False, row=1, col=1)
    picture.update_xaxes(title_text="edges kept", type="log", row=2, col=1)
    picture.update_yaxes(title_text="faithfulness", row=2, col=1)
    title = f"{len(edges)} strongest of {result.wiring.n_edges:,} edges ({result.method}, {result.ablation})"
    return picture.update_layout(template=TEMPLATE, title=title, height=760, hovermode="closest")


def curves(result: Circuit) -> list[go.Scatter]:
    """Faithfulness of the circuit at each size, and the mean and range of random circuits."""
    sizes, draws = result.sizes.tolist(), result.random_faithfulness
    low, high = draws.min(dim=0).values.tolist(), draws.max(dim=0).values.tolist()
    line = {"color": GREY, "dash": "dot"}
    band = {"fill": "toself", "fillcolor": "rgba(128,128,128,0.2)", "line": {"width": 0}}
    return [
        go.Scatter(x=sizes + sizes[::-1], y=high + low[::-1], hoverinfo="skip", showlegend=False, **band),
        go.Scatter(x=sizes, y=draws.mean(dim=0).tolist(), name=f"random edges, mean of {len(draws)}", line=line),
        go.Scatter(x=sizes, y=result.faithfulness.tolist(), name="strongest edges", line={"color": BLUE}),
    ]


@describe.register
def _(result: Circuit) -> str:
    enough = (result.faithfulness >= ENOUGH).nonzero()
    place = int(enough[0]) if len(enough) else len(result.sizes) - 1
    size, kept = int(result.sizes[place]), percent(result.faithfulness[place])
    control = percent(result.random_faithfulness[:, place].mean())
    return (
        f"The {size:,} strongest of {result.wiring.n_edges:,} edges keep {kept} of the behaviour, as many "
        f"random ones {control}; the distance of the curve from the model (CMD) is {short(result.cmd)} against "
        f"{short(result.random_cmd)} for random edges."
    )


@table.register
def _(result: Circuit) -> pd.DataFrame:
    rows = pd.DataFrame(result.wiring.names(), columns=["writer", "port", "wire"])
    scores = result.wiring.as_vector(result.scores).cpu()
    order = scores.abs().argsort(descending=True, stable=True)
    rank = torch.empty_like(order).scatter_(0, order, torch.arange(1, len(order) + 1))
    return rows.assign(score=scores.tolist(), rank=rank.tolist()).sort_values("rank", ignore_index=True)
