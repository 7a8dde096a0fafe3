"""Activation maximization: what was found for each unit beside the natural inputs that it likes best."""

from __future__ import annotations

from math import ceil, isqrt

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots
from torch import Tensor

from workbench.analysis.maximization import Maximization
from workbench.figures.alt import describe
from workbench.figures.figure import figure
from workbench.figures.mosaic import Tile, mosaic
from workbench.figures.numerals import short
from workbench.figures.table import table
from workbench.figures.theme import BLUE, GREY, TEMPLATE

ACROSS = 4
"""Units side by side."""
SMALLEST = 16
"""Features from this number on are a picture when they make a square."""
VISIBLE = str.maketrans({" ": "␣", "\n": "⏎", "\t": "⇥"})


@figure.register
def _(result: Maximization) -> go.Figure:
    title = f"What excites each {result.axis} at {result.hook}"
    if not result.inputs.is_floating_point():
        return words(result, title)
    if (shape := picture_shape(result.inputs.shape[1:])) is None:
        return bars(result, title)
    return mosaic(tiles(result, shape), ACROSS, f"{title} (small: natural examples)")


def picture_shape(shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Channels, height and width to draw an input with: of images, and of features that make a square."""
    side = isqrt(shape[-1])
    if len(shape) == 1:
        return (1, side, side) if shape[0] >= SMALLEST and side * side == shape[0] else None
    return tuple(shape) if len(shape) == 3 else None


def tiles(result: Maximization, shape: tuple[int, ...]) -> list[Tile]:
    """One tile for each unit, its values from 0 (the lowest natural one) to 1."""
    low, span = result.low.amin(), result.high.amax() - result.low.amin()
    if result.inputs.ndim == 4:
        low, span = result.low, result.high - result.low

    def pixels(inputs: Tensor) -> Tensor:
        return ((inputs - low) / span.clamp(min=1e-12)).clamp(0, 1).reshape(-1, *shape)

    pictures = zip(pixels(result.inputs), map(pixels, result.examples), strict=True)
    return [
        Tile(picture, beside, name(result, i), site(result, i), told(result, i))
        for i, (picture, beside) in enumerate(pictures)
    ]


def site(result: Maximization, i: int) -> str:
    """The unit as a site."""
    hook, bracket, rest = result.hook.partition("[")
    return f"{hook}[{result.axis}={result.units[i]}{',' + rest if bracket else ']'}"


def name(result: Maximization, i: int) -> str:
    """A unit and its gain."""
    unit, gain = f"{result.axis} {result.units[i]}", result.gain[i]
    return f"{unit} · {short(gain)}×" if gain.isfinite() else unit


def told(result: Maximization, i: int) -> str:
    """A unit's activations in words."""
    natural, row = short(result.activations[i, 0]), int(result.rows[i, 0])
    return f"found {short(result.reached[i])}<br>best natural {natural}, row {row}"


def bars(result: Maximization, title: str) -> go.Figure:
    """For each unit the features of the input found beside those of its best natural example."""
    n = len(result.units)
    down, across = ceil(n / ACROSS), min(n, ACROSS)
    names = [name(result, i) for i in range(n)]
    picture = make_subplots(down, across, subplot_titles=names, shared_xaxes=True, shared_yaxes=True)
    for i in range(n):
        at = {"row": i // ACROSS + 1, "col": i % ACROSS + 1}
        for label, values, colour in (("found", result.inputs[i], BLUE), ("best natural", result.examples[i, 0], GREY)):
            hover = f"{site(result, i)}<br>feature %{{x}}: %{{y:.3g}}<extra>{label}</extra>"
            bar = go.Bar(y=values.flatten().tolist(), marker_color=colour, name=label, hovertemplate=hover)
            bar.update(legendgroup=label, showlegend=i == 0)
            picture.add_trace(bar, **at)
    picture.update_xaxes(title_text="feature", row=down)
    return picture.update_layout(template=TEMPLATE, title=title, height=130 + 150 * down, bargap=0.15)


def words(result: Maximization, title: str) -> go.Figure:
    """The text found for each unit, and the natural text that it likes best."""
    units, texts, naturals = [f"{u}" for u in result.units], spelled(result), spelled(result, natural=True)
    reached, best = map(short, result.reached.tolist()), map(short, result.activations[:, 0].tolist())
    cells = [units, list(reached), texts, list(best), naturals]
    heads = [result.axis, "activation", "text found", "natural", "best natural text"]
    look = {"align": "left", "font": {"family": "monospace", "size": 12, "color": GREY}}
    look |= {"fill": {"color": "rgba(0,0,0,0)"}}
    grid = go.Table(columnwidth=[1, 1, 5, 1, 5], header={"values": heads, **look}, cells={"values": cells, **look})
    return go.Figure(grid).update_layout(template=TEMPLATE, title=title, height=140 + 46 * len(units))


def spelled(result: Maximization, natural: bool = False) -> list[str]:
    """Each unit's text with visible spaces, or its tokens as numbers."""
    if result.texts:
        texts = [texts[0] for texts in result.example_texts] if natural else result.texts
        return [text.translate(VISIBLE).replace("<", "&lt;") for text in texts]
    return [" ".join(map(str, row.tolist())) for row in (result.examples[:, 0] if natural else result.inputs)]


@describe.register
def _(result: Maximization) -> str:
    best = int(result.reached.argmax())
    n, times = len(result.units), result.gain[result.gain.isfinite()]
    typical = f" (by the median {short(times.median())} times its activation)" if len(times) else ""
    return (
        f"{int(result.success.sum())} of {n} units ({result.axis}) at {result.hook} are excited beyond their best "
        f"natural example{typical}; {result.axis} {result.units[best]} most, to {short(result.reached[best])} from "
        f"{short(result.activations[best, 0])}. {int(result.top1.sum())} of {n} stand out most on their own input."
    )


@table.register
def _(result: Maximization) -> pd.DataFrame:
    fields = ("start", "reached", "gain", "success", "top1")
    columns = {field: getattr(result, field).cpu().numpy() for field in fields}
    best = {"natural": result.activations[:, 0].cpu().numpy(), "natural_row": result.rows[:, 0].cpu().numpy()}
    rows = pd.DataFrame({result.axis: result.units, **columns, **best})
    rows = rows.assign(hook=result.hook, objective=result.objective)
    if result.inputs.is_floating_point():
        return rows
    return rows.assign(text=spelled(result), natural_text=spelled(result, natural=True))
