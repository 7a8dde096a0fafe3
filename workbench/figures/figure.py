"""The figure of a result; by default drawn from its coordinates."""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from typing import Any

import plotly.graph_objects as go
import torch
from jaxtyping import Float
from plotly.subplots import make_subplots
from torch import Tensor

from workbench.core.coordinates import Array, Axis, View, find_array, main_array, view_of
from workbench.core.intervals import mean_interval
from workbench.figures.by_result import by_result
from workbench.figures.template import fill
from workbench.figures.theme import BLUE, ORANGE, SERIES, TEMPLATE, make_error_bars, make_figure, make_heat_map_trace

USUAL = View()
MANY = 60
"""Number of values above which a line is drawn instead of bars."""
SHOWN = 40
"""Bars of a ranked result, those with the largest values; the table has all."""
FACETS, CHOICES, ACROSS = 12, 100, 4
"""Most panels that are drawn side by side, most that a menu offers, and panels in a row."""


@by_result
def figure(result: Any) -> go.Figure:
    """Draw a result as a plotly figure.

    Results without a figure of their own show their main tensor: bars or a line for one axis, a heat map for two. More
    axes than two are averaged over the examples, and the rest is drawn as one heat map for each entry of the leading
    axes: side by side, or in a menu if there are many.

    Args:
        result: Result of an analysis, a training curve, or another type with a registered figure.

    Returns:
        A plotly figure with titles and axis names.

    Raises:
        InputError: If there is no tensor.

    Example:
        >>> ablation = workbench.run("ablation", model="digits_mlp", hook="blocks.0.hook_post", inputs="test:0:16")
        >>> workbench.figure(ablation).layout.yaxis.title.text
        'change of the metric'
    """
    array, view = main_array(result), view_of(result)
    view = replace(view, quantity=fill(view.quantity, result))
    title = fill(view.title, result) or f"{type(result).__name__}: {array.name}"
    if view.series:
        return draw_series(result, view, title)
    ends = None
    if view.interval is not None:
        ends = torch.stack(list(view.interval(result)))
    elif view.ranked and array.samples == 1:
        ends = mean_interval(array.tensor)
    averaged = array.average() if view.ranked or array.tensor.ndim > 2 else array
    array = squeeze(averaged)
    alone = (axis.label(0) for axis in averaged.axes[: averaged.tensor.ndim - array.tensor.ndim])
    title = ", ".join([title, *(label for label in alone if label not in title)])
    if array.tensor.ndim > 1:
        return draw_heat_maps(array, title, view.quantity)
    picture = draw_bars(array, title, view, ends)
    if view.level:
        picture.add_hline(y=float(getattr(result, view.level)), line={"color": BLUE, "dash": "dash", "width": 1})
    return picture


def squeeze(array: Array) -> Array:
    """Remove leading axes of a single entry; a single number gets an axis."""
    axes, x = array.axes, array.tensor
    while x.ndim > 1 and len(x) == 1:
        axes, x = axes[1:], x[0]
    return Array(array.name, axes if x.ndim else (Axis("value", [""]),), x if x.ndim else x[None])


def draw_bars(
    array: Array, title: str, view: View = USUAL, ends: Float[Tensor, "ends entry"] | None = None
) -> go.Figure:
    """Draw bars coloured by sign, or a line if there are many values; ranked ones are sorted and the weak left out."""
    (axis,), values = array.axes, array.tensor.double()
    order = torch.arange(len(values))
    if view.ranked:
        strongest = values.nan_to_num().abs().argsort(descending=True, stable=True)[:SHOWN]
        order = strongest[values[strongest].argsort(stable=True)]
        title += f": {len(order)} of {len(values)}" if len(order) < len(values) else ""
    picture = make_figure(title, axis.name, view.quantity or array.name)
    places = order.tolist()
    named = view.ranked or axis.texts or isinstance(axis.entries[0] if len(axis.entries) else 0, str)
    x, y = [axis.label(i) if named else axis.entries[i] for i in places], values[order].tolist()
    if len(y) > MANY and not named:
        return picture.add_trace(go.Scatter(x=x, y=y, mode="lines"))
    bars = go.Bar(x=x, y=y, marker_color=[BLUE if value < 0 else ORANGE for value in y])
    bars.update(customdata=[axis.site(i) for i in places], hovertemplate="%{customdata}<br>%{y:.3g}<extra></extra>")
    if ends is not None:
        bars.update(error_y=make_error_bars(values[order], *ends[:, order]))
    return picture.add_trace(bars)


def draw_series(result: Any, view: View, title: str) -> go.Figure:
    """Draw tensors of the same axis side by side; a further axis makes one series for each of its entries."""
    arrays = [(find_array(result, name), label) for name, label in view.series.items()]
    axis = arrays[0][0].axes[0]
    named = [(label if a.tensor.ndim == 1 else f"{label} {a.axes[1].label(i)}", values.tolist())
             for a, label in arrays for i, values in enumerate(a.tensor.reshape(len(a.tensor), -1).T)]  # fmt: skip
    picture = make_figure(title, axis.name, view.quantity)
    x = [axis.label(i) for i in range(len(axis.entries))]
    for place, (name, values) in enumerate(named):
        picture.add_trace(go.Bar(x=x, y=values, name=name, marker_color=SERIES[place % len(SERIES)]))
    return picture.update_layout(barmode="group")


def draw_heat_maps(array: Array, title: str, quantity: str = "") -> go.Figure:
    """Draw a heat map, the second last axis down; of more than two axes, one for each entry of the leading axes."""
    if array.tensor.ndim > 2:
        picture = draw_panels(array, title, quantity)
    else:
        picture = make_figure(title, array.axes[1].name, array.axes[0].name)
        picture.add_trace(make_heat_map(array, quantity))
    return picture.update_xaxes(type="category").update_yaxes(type="category", autorange="reversed")


def make_heat_map(array: Array, quantity: str, limit: float | None = None) -> go.Heatmap:
    """Return the heat map of a tensor with two axes."""
    y, x = ([shorten(axis.label(i)) for i in range(n)] for axis, n in zip(array.axes, array.tensor.shape, strict=True))
    return make_heat_map_trace(array.tensor.float(), x, y, quantity or array.name, limit)


def shorten(site: str) -> str:
    """Leave out the parts of a site that all of them have."""
    return site.replace("blocks.", "").replace("hook_", "")


def draw_panels(array: Array, title: str, quantity: str) -> go.Figure:
    """Draw a heat map for each entry of the leading axes, side by side or in a menu."""
    *leading, rows, columns = array.axes
    sizes = array.tensor.shape[:-2]
    names = [", ".join(axis.label(int(i)) for axis, i in zip(leading, index, strict=True))
             for index in torch.cartesian_prod(*map(torch.arange, sizes)).reshape(-1, len(sizes))]  # fmt: skip
    planes = array.tensor.double().flatten(0, -3)
    strongest = planes.nan_to_num().abs().amax(dim=(1, 2)).argsort(descending=True, stable=True)[:CHOICES]
    kept = strongest.sort().values.tolist()
    if len(kept) < len(names):
        title += f": the {len(kept)} of {len(names)} with the largest values"
    limit = float(planes[kept].nan_to_num().abs().max()) or 1.0
    heat_maps = [make_heat_map(replace(array, axes=(rows, columns), tensor=planes[i]), quantity, limit) for i in kept]
    draw = draw_facets if len(kept) <= FACETS else draw_menu
    picture = draw(heat_maps, [names[i] for i in kept], (rows.name, columns.name))
    return picture.update_layout(template=TEMPLATE, title=title)


def draw_facets(heat_maps: list[go.Heatmap], names: list[str], axes: tuple[str, str]) -> go.Figure:
    """Draw panels side by side, with one scale."""
    across = min(ACROSS, len(names))
    down = ceil(len(names) / across)
    picture = make_subplots(down, across, subplot_titles=names, shared_xaxes=True, shared_yaxes=True,
                            horizontal_spacing=0.03, vertical_spacing=0.4 / down**2)  # fmt: skip
    for i, trace in enumerate(heat_maps):
        picture.add_trace(trace.update(showscale=i == 0), row=i // across + 1, col=i % across + 1)
    picture.update_yaxes(title_text=axes[0], col=1).update_xaxes(title_text=axes[1], row=down)
    return picture.update_layout(height=180 + 280 * down, margin={"t": 90})


def draw_menu(heat_maps: list[go.Heatmap], names: list[str], axes: tuple[str, str]) -> go.Figure:
    """Draw the first panel, and a menu to choose another one."""
    picture = go.Figure([trace.update(visible=i == 0) for i, trace in enumerate(heat_maps)])
    buttons = [{"label": name, "method": "update", "args": [{"visible": [i == j for j in range(len(names))]}]}
               for i, name in enumerate(names)]  # fmt: skip
    menu = {"buttons": buttons, "x": 1, "xanchor": "right", "y": 1.02, "yanchor": "bottom"}
    return picture.update_layout(updatemenus=[menu], yaxis_title_text=axes[0], xaxis_title_text=axes[1])
