"""Colours and layout of all figures, for light and dark backgrounds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
from torch import Tensor

BLUE, ORANGE, GREY, GREEN = "#0072B2", "#D55E00", "#767676", "#009E73"
"""Colour-blind safe (Okabe and Ito); the grey is readable on white and on black."""
SERIES = (BLUE, ORANGE, GREEN, "#9A5B8E", "#B87A00", "#56B4E9")
DIVERGING = [[0.0, BLUE], [0.5, "#ffffff"], [1.0, ORANGE]]
"""Blue below zero, white at zero, orange above."""
GRID = "rgba(128,128,128,0.25)"
TEMPLATE = go.layout.Template(
    layout=go.Layout(
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": GREY, "size": 13},
        colorway=list(SERIES),
        title={"x": 0.01, "xanchor": "left", "font": {"size": 15}},
        margin={"l": 60, "r": 20, "t": 50, "b": 50},
        xaxis={"gridcolor": GRID, "zerolinecolor": GREY, "automargin": True},
        yaxis={"gridcolor": GRID, "zerolinecolor": GREY, "automargin": True},
        legend={"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0},
        hoverlabel={"font": {"family": "monospace"}},
    )
)


def make_figure(title: str, x: str = "", y: str = "") -> go.Figure:
    """Return an empty figure with a title and axis names."""
    layout = go.Layout(template=TEMPLATE, title=title, xaxis={"title": {"text": x}}, yaxis={"title": {"text": y}})
    return go.Figure(layout=layout)


def make_error_bars(values: Tensor, low: Tensor, high: Tensor) -> dict[str, Any]:
    """Return intervals around bars as plotly takes them; of no length where there is none."""
    above, below = ((end - values).abs().nan_to_num().tolist() for end in (high, low))
    return {"type": "data", "symmetric": False, "array": above, "arrayminus": below, "thickness": 1, "color": GREY}


def make_heat_map_trace(
    values: Tensor, x: Sequence[str], y: Sequence[str], colour: str, limit: float | None = None
) -> go.Heatmap:
    """Return a heat map, first row on top, with a diverging scale centred at zero; `colour` labels the colour bar."""
    limit = limit or float(values.nan_to_num().abs().max()) or 1.0
    return go.Heatmap(
        z=values.tolist(),
        x=list(x),
        y=list(y),
        colorscale=DIVERGING,
        zmin=-limit,
        zmax=limit,
        colorbar={"title": {"text": colour, "side": "right"}},
        hovertemplate="%{y}<br>%{x}<br>%{z:.3g}<extra></extra>",
        hoverongaps=False,
    )
