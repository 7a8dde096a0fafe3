"""The figure of a result; by default derived from its shape annotations."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from workbench.core.errors import InputError
from workbench.figures.annotated import Field, main_tensor
from workbench.figures.by_result import by_result
from workbench.figures.theme import BLUE, heat_map_trace, make_figure

MANY = 60
"""Number of values above which a line is drawn instead of bars."""


@by_result
def figure(result: Any) -> go.Figure:
    """Draw a result as a plotly figure.

    Results without a figure of their own show their main tensor: bars or a line for one axis, a heat map for two.

    Args:
        result: Result of an analysis, a training curve, or another type with a registered figure.

    Returns:
        A plotly figure with titles and axis names.

    Raises:
        InputError: If the main tensor has more than two axes besides the batch, or there is no tensor.

    Example:
        >>> ablation = workbench.run("ablation", model="digits_mlp", hook="blocks.0.hook_post", inputs="test:0:16")
        >>> workbench.figure(ablation).layout.yaxis.title.text
        'change of the metric'
    """
    field = average_batch(main_tensor(result))
    title = f"{type(result).__name__}: {field.name}"
    if field.tensor.ndim == 1:
        return draw_bars(field, title)
    if field.tensor.ndim == 2:
        return draw_heat_map(field, title)
    raise InputError(
        f"{type(result).__name__}.{field.name} has axes {field.axes}, but a figure shows at most two. Register a "
        "figure for it in workbench/figures, or export the table."
    )


def average_batch(field: Field) -> Field:
    """Average over the examples if the tensor has more than two axes."""
    if field.tensor.ndim <= 2 or "batch" not in field.axes:
        return field
    place = field.axes.index("batch")
    axes = tuple(axis for axis in field.axes if axis != "batch")
    return Field(field.name, axes, field.tensor.float().mean(dim=place))


def draw_bars(field: Field, title: str) -> go.Figure:
    """Draw bars, or a line if there are many values."""
    picture = make_figure(title, field.axes[0], field.name)
    x, y = list(range(len(field.tensor))), field.tensor.tolist()
    picture.add_trace(go.Bar(x=x, y=y, marker_color=BLUE) if len(x) <= MANY else go.Scatter(x=x, y=y, mode="lines"))
    return picture


def draw_heat_map(field: Field, title: str) -> go.Figure:
    """Draw a heat map with the first axis as rows."""
    rows, columns = field.axes
    picture = make_figure(title, columns, rows)
    names = ([f"{axis} {i}" for i in range(n)] for axis, n in zip(field.axes, field.tensor.shape, strict=True))
    y, x = names
    picture.add_trace(heat_map_trace(field.tensor.float(), x, y, field.name))
    picture.update_yaxes(autorange="reversed")
    return picture
