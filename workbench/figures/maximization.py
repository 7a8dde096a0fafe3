"""Activation maximization: optimized inputs next to the most activating natural ones."""

from __future__ import annotations

from math import ceil, isqrt

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots
from torch import Tensor

from workbench.analysis.maximization import Maximization
from workbench.core.coordinates import find_axis
from workbench.figures.alt import describe
from workbench.figures.figure import figure
from workbench.figures.mosaic import Tile, draw_mosaic
from workbench.figures.numerals import short
from workbench.figures.table import table
from workbench.figures.theme import BLUE, GREY, TEMPLATE

ACROSS = 4
"""Units per row."""
SMALLEST = 16
"""Minimum number of features that are drawn as an image if they form a square."""
VISIBLE = str.maketrans({" ": "␣", "\n": "⏎", "\t": "⇥"})


@figure.register
def _(result: Maximization) -> go.Figure:
    title = f"Maximizing inputs of each {result.axis} at {result.hook}"
    if not result.inputs.is_floating_point():
        return draw_text_table(result, title)
    if (shape := find_picture_shape(result.inputs.shape[1:])) is None:
        return draw_bars(result, title)
    return draw_mosaic(make_tiles(result, shape), ACROSS, f"{title} (small: natural examples)")


def find_picture_shape(shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return (channel, height, width) of images, or of features that form a square, else None."""
    side = isqrt(shape[-1])
    if len(shape) == 1:
        return (1, side, side) if shape[0] >= SMALLEST and side * side == shape[0] else None
    return tuple(shape) if len(shape) == 3 else None


def make_tiles(result: Maximization, shape: tuple[int, ...]) -> list[Tile]:
    """Make one tile per unit, with values scaled to 0..1 by the range of natural inputs."""
    axis = find_axis(result, "unit", len(result.units))
    low, span = result.low.amin(), result.high.amax() - result.low.amin()
    if result.inputs.ndim == 4:
        low, span = result.low, result.high - result.low

    def pixels(inputs: Tensor) -> Tensor:
        return ((inputs - low) / span.clamp(min=1e-12)).clamp(0, 1).reshape(-1, *shape)

    pictures = zip(pixels(result.inputs), map(pixels, result.examples), strict=True)
    return [
        Tile(picture, beside, write_name(result, i), axis.site(i), write_tooltip(result, i))
        for i, (picture, beside) in enumerate(pictures)
    ]


def write_name(result: Maximization, i: int) -> str:
    """Return the name of a unit and its gain."""
    unit, gain = f"{result.axis} {result.units[i]}", result.gain[i]
    return f"{unit} · {short(gain)}×" if gain.isfinite() else unit


def write_tooltip(result: Maximization, i: int) -> str:
    """Return the activations of a unit as text."""
    natural, row = short(result.activations[i, 0]), int(result.rows[i, 0])
    return f"found {short(result.reached[i])}<br>best natural {natural}, row {row}"


def draw_bars(result: Maximization, title: str) -> go.Figure:
    """Draw the features of each optimized input next to those of the best natural example."""
    n = len(result.units)
    down, across = ceil(n / ACROSS), min(n, ACROSS)
    names = [write_name(result, i) for i in range(n)]
    picture = make_subplots(down, across, subplot_titles=names, shared_xaxes=True, shared_yaxes=True)
    for i in range(n):
        at = {"row": i // ACROSS + 1, "col": i % ACROSS + 1}
        for label, values, colour in (("found", result.inputs[i], BLUE), ("best natural", result.examples[i, 0], GREY)):
            hover = f"{find_axis(result, 'unit', n).site(i)}<br>feature %{{x}}: %{{y:.3g}}<extra>{label}</extra>"
            bar = go.Bar(y=values.flatten().tolist(), marker_color=colour, name=label, hovertemplate=hover)
            bar.update(legendgroup=label, showlegend=i == 0)
            picture.add_trace(bar, **at)
    picture.update_xaxes(title_text="feature", row=down)
    return picture.update_layout(template=TEMPLATE, title=title, height=130 + 150 * down, bargap=0.15)


def draw_text_table(result: Maximization, title: str) -> go.Figure:
    """Draw a table with the optimized and the most activating natural text of each unit."""
    units, texts, naturals = [f"{u}" for u in result.units], spell(result), spell(result, natural=True)
    reached, best = map(short, result.reached.tolist()), map(short, result.activations[:, 0].tolist())
    cells = [units, list(reached), texts, list(best), naturals]
    heads = [result.axis, "activation", "text found", "natural", "best natural text"]
    look = {"align": "left", "font": {"family": "monospace", "size": 12, "color": GREY}}
    look |= {"fill": {"color": "rgba(0,0,0,0)"}}
    grid = go.Table(columnwidth=[1, 1, 5, 1, 5], header={"values": heads, **look}, cells={"values": cells, **look})
    return go.Figure(grid).update_layout(template=TEMPLATE, title=title, height=140 + 46 * len(units))


def spell(result: Maximization, natural: bool = False) -> list[str]:
    """Return each unit's text with visible whitespace, or its token ids."""
    if result.texts:
        texts = [texts[0] for texts in result.example_texts] if natural else result.texts
        return [text.translate(VISIBLE).replace("<", "&lt;") for text in texts]
    return [" ".join(map(str, row.tolist())) for row in (result.examples[:, 0] if natural else result.inputs)]


@describe.register
def _(result: Maximization) -> str:
    best = int(result.reached.argmax())
    n, times = len(result.units), result.gain[result.gain.isfinite()]
    typical = f" (median {short(times.median())} times its activation)" if len(times) else ""
    return (
        f"{int(result.success.sum())} of {n} units ({result.axis}) at {result.hook} exceed their best natural "
        f"example{typical}. {result.axis} {result.units[best]} reaches the largest activation, "
        f"{short(result.reached[best])} (natural {short(result.activations[best, 0])}). {int(result.top1.sum())} of "
        f"{n} have the largest z-score on their own input."
    )


@table.register
def _(result: Maximization) -> pd.DataFrame:
    fields = ("start", "reached", "gain", "success", "top1")
    columns = {field: getattr(result, field).numpy() for field in fields}
    best = {"natural": result.activations[:, 0].numpy(), "natural_row": result.rows[:, 0].numpy()}
    rows = pd.DataFrame({result.axis: result.units, **columns, **best})
    rows = rows.assign(hook=result.hook, objective=result.objective)
    if result.inputs.is_floating_point():
        return rows
    return rows.assign(text=spell(result), natural_text=spell(result, natural=True))
