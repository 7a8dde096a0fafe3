"""The figure of a result; of a kind that has none of its own, from its shape annotations."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from workbench.core.errors import InputError
from workbench.figures.annotated import Field, main_tensor
from workbench.figures.by_result import by_result
from workbench.figures.theme import BLUE, blank, heat_map

MANY = 60
"""More values than this make a line and not bars."""


@by_result
def figure(result: Any) -> go.Figure:
    """A plotly figure of any result: bars or a line of its main tensor, or a heat map, with its axes named."""
    field = without_batch(main_tensor(result))
    title = f"{type(result).__name__}: {field.name}"
    if field.tensor.ndim == 1:
        return one_axis(field, title)
    if field.tensor.ndim == 2:
        return two_axes(field, title)
    raise InputError(
        f"{type(result).__name__}.{field.name} has axes {field.axes}; a figure shows one or two. Register a figure for "
        "it in workbench/figures, or export the table."
    )


def without_batch(field: Field) -> Field:
    """The mean over the examples, where more than two axes are too many to show."""
    if field.tensor.ndim <= 2 or "batch" not in field.axes:
        return field
    place = field.axes.index("batch")
    axes = tuple(axis for axis in field.axes if axis != "batch")
    return Field(field.name, axes, field.tensor.float().mean(dim=place))


def one_axis(field: Field, title: str) -> go.Figure:
    """Bars, or a line when there are many."""
    picture = blank(title, field.axes[0], field.name)
    x, y = list(range(len(field.tensor))), field.tensor.tolist()
    picture.add_trace(go.Bar(x=x, y=y, marker_color=BLUE) if len(x) <= MANY else go.Scatter(x=x, y=y, mode="lines"))
    return picture


def two_axes(field: Field, title: str) -> go.Figure:
    """A heat map, the first axis down, the second across."""
    rows, columns = field.axes
    picture = blank(title, columns, rows)
    names = ([f"{axis} {i}" for i in range(n)] for axis, n in zip(field.axes, field.tensor.shape, strict=True))
    y, x = names
    picture.add_trace(heat_map(field.tensor.float(), x, y, field.name))
    picture.update_yaxes(autorange="reversed")
    return picture
