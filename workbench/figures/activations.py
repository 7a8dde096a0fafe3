"""Activations of one example: feature maps side by side, attention patterns by head, bars for units."""

from __future__ import annotations

from math import ceil, sqrt

import pandas as pd
import plotly.graph_objects as go
import torch
from einops import rearrange
from jaxtyping import Float
from plotly.subplots import make_subplots
from torch import Tensor

from workbench.analysis.activations import Activations
from workbench.analysis.anatomy import Anatomy
from workbench.core.coordinates import Array, find_array
from workbench.figures.alt import describe
from workbench.figures.figure import draw_bars, draw_heat_maps, figure, squeeze
from workbench.figures.numerals import short
from workbench.figures.table import table
from workbench.figures.theme import BLUE, DIVERGING, TEMPLATE, make_figure

SEQUENTIAL = "Cividis"
NUMBERED = 32
"""Maximum number of feature maps that are numbered."""
ACROSS_THE_TOP = {"orientation": "h", "thickness": 10, "y": 1, "yanchor": "bottom"}
"""Colour bar above the maps, so that they keep their width on narrow screens."""


@figure.register
def _(result: Activations) -> go.Figure:
    """Draw the first example; the table has all."""
    axes, x = result.axes[1:], result.values[0].float()
    title = result.hook + (f", example 0 of {len(result.values)}" if len(result.values) > 1 else "")
    entries = squeeze(Array("activation", find_array(result, "values").axes[1:], x.where(x.isfinite(), torch.nan)))
    if x.ndim < 2:
        return draw_bars(entries, title)
    for plane, draw in (("height width", draw_feature_maps), ("query key", draw_patterns)):
        others = [axis for axis in axes if axis not in plane.split()]
        if len(axes) - len(others) == 2 and len(others) <= 1:
            planes = rearrange(x, f"{' '.join(axes)} -> ({' '.join(others)}) {plane}")
            return draw(planes, title, *others)
    return draw_heat_maps(entries, title)


def draw_feature_maps(x: Float[Tensor, "map height width"], title: str, axis: str = "") -> go.Figure:
    """Draw all maps as one mosaic with one scale, row by row; of many, only the first of each row is numbered.

    A single map without the name of an `axis` has no number.
    """
    n, height, width = x.shape
    across = ceil(sqrt(2 * n * height / width)) if n > 2 else n
    down = ceil(n / across)
    mosaic = torch.full((down * (height + 1) - 1, across * (width + 1) - 1), torch.nan)
    where = [["" for _ in range(mosaic.shape[1])] for _ in range(mosaic.shape[0])]
    corners = [((channel // across) * (height + 1), (channel % across) * (width + 1)) for channel in range(n)]
    for channel, (top, left) in enumerate(corners):
        mosaic[top : top + height, left : left + width] = x[channel]
        name = f"{axis} {channel}, " if axis else ""
        for row in range(height):
            where[top + row][left : left + width] = [f"{name}row {row}, column {c}" for c in range(width)]
    picture = make_figure(title)
    hover = "%{text}<br>%{z:.3g}<extra></extra>"
    scale = choose_scale(x) | {"colorbar": ACROSS_THE_TOP}
    picture.add_trace(go.Heatmap(z=mosaic.tolist(), text=where, hovertemplate=hover, hoverongaps=False, **scale))
    picture.update_layout(height=max(220, min(900, 130 + 760 * mosaic.shape[0] // mosaic.shape[1])))
    picture.update_xaxes(visible=False, constrain="domain")
    picture.update_yaxes(autorange="reversed", scaleanchor="x", constraintoward="top", showgrid=False, zeroline=False)
    if n <= NUMBERED:
        return picture.update_yaxes(visible=False).update_layout(annotations=number_maps(corners) if axis else [])
    first = range(0, n, across)
    return picture.update_yaxes(tickvals=[corners[i][0] + height / 2 for i in first], ticktext=[str(i) for i in first])


def number_maps(corners: list[tuple[int, int]]) -> list[dict]:
    """Return annotations with the number of each map at its corner (row, column)."""
    look = {"xanchor": "left", "yanchor": "top", "showarrow": False, "font": {"size": 11, "color": "white"}}
    look |= {"bgcolor": "rgba(0,0,0,0.45)", "borderpad": 1}
    return [{"x": left - 0.4, "y": top - 0.4, "text": f"<b>{i}</b>"} | look for i, (top, left) in enumerate(corners)]


def choose_scale(x: Tensor) -> dict:
    """Choose a diverging scale about zero if there are negative values, else a sequential one from zero."""
    low, high = (float(end) for end in x.aminmax())
    if low < 0:
        limit = max(-low, high) or 1.0
        return {"colorscale": DIVERGING, "zmin": -limit, "zmax": limit}
    return {"colorscale": SEQUENTIAL, "zmin": 0.0, "zmax": high or 1.0}


def draw_patterns(x: Float[Tensor, "head query key"], title: str, axis: str = "") -> go.Figure:
    """Draw one square for each head: from each position (down) to those it attends to (across).

    A single square without the name of an `axis` has no name.
    """
    n = len(x)
    across = min(4, n)
    names = [f"{axis} {i}" if axis else "" for i in range(n)]
    down = ceil(n / across)
    picture = make_subplots(down, across, subplot_titles=names, shared_xaxes=True, shared_yaxes=True,
                            horizontal_spacing=0.03, vertical_spacing=min(0.12, 0.5 / down))  # fmt: skip
    finite = x.masked_fill(~x.isfinite(), float("nan"))
    scale = choose_scale(finite.nan_to_num())
    for head in range(n):
        name = f"{names[head]}, " if axis else ""
        hover = f"{name}from %{{y}} to %{{x}}<br>%{{z:.3g}}<extra></extra>"
        trace = go.Heatmap(z=finite[head].tolist(), hovertemplate=hover, showscale=head == 0, **scale)
        picture.add_trace(trace, row=head // across + 1, col=head % across + 1)
    picture.update_yaxes(autorange="reversed")
    picture.update_yaxes(title_text="from", col=1).update_xaxes(title_text="to", row=down)
    return picture.update_layout(template=TEMPLATE, title=title, height=110 + 260 * down)


@describe.register
def _(result: Activations) -> str:
    x = result.values[0].float()
    x = x.masked_fill(~x.isfinite(), float("nan")).nan_to_num(0.0)
    place, index = [], int(x.argmax())
    for axis, size in reversed(list(zip(result.axes[1:], x.shape, strict=True))):
        index, entry = divmod(index, size)
        place.insert(0, f"{axis} {entry}")
    zeros = short(float(100 * (x == 0).float().mean()))
    where = f" at {', '.join(place)}" if place else ""
    span = f"from {short(float(x.min()))} to {short(float(x.max()))}"
    return f"{result.hook} runs {span}, largest{where}; {zeros} % of its values are zero."


@figure.register
def _(result: Anatomy) -> go.Figure:
    picture = make_figure("Values in each activation", "", "values per example")
    counts = [int(torch.tensor(size).prod()) for size in result.size]
    return picture.add_trace(go.Bar(x=list(result.hook), y=counts, marker_color=BLUE)).update_yaxes(type="log")


@table.register
def _(result: Anatomy) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "hook": result.hook,
            "stage": result.stage,
            "axes": [" ".join(axes) for axes in result.axes],
            "shape": [" x ".join(map(str, size)) for size in result.size],
            "on_request": result.on_request,
        }
    )
