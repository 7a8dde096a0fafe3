"""Traversals: a row of images for each unit, or distances as a heat map."""

from __future__ import annotations

import plotly.graph_objects as go
import torch
from jaxtyping import Float
from torch import Tensor

from workbench.analysis.generative.traversal import Traversal
from workbench.core.coordinates import main_array
from workbench.figures.alt import describe
from workbench.figures.figure import draw_heat_maps, figure
from workbench.figures.mosaic import encode_png, paste
from workbench.figures.numerals import short
from workbench.figures.theme import make_figure

SCALE = 2
"""Magnification of images."""


@figure.register
def _(result: Traversal) -> go.Figure:
    title = f"{result.seen} as each {result.axis} at {result.hook} moves"
    if result.seen_axes == ("channel", "height", "width") and result.response.shape[2] in (1, 3):
        offsets = [f"{x:+.2g} sd" for x in result.offset.tolist()]
        return draw_strips(result.response, title, offsets, [f"{result.axis} {unit}" for unit in result.units])
    return draw_heat_maps(main_array(result), title)


def draw_strips(
    images: Float[Tensor, "unit step channel height width"], title: str, columns: list[str], rows: list[str]
) -> go.Figure:
    """Draw a row of images for each unit; values are clamped to 0..1."""
    high, wide = (SCALE * n + 2 for n in images.shape[3:])
    canvas = torch.zeros(len(rows) * high, len(columns) * wide, 4, dtype=torch.uint8)
    for i, strip in enumerate(images.clamp(0, 1)):
        for j, image in enumerate(strip):
            large = image.repeat_interleave(SCALE, dim=1).repeat_interleave(SCALE, dim=2)
            paste(canvas, large, i * high, j * wide)
    picture = make_figure(title)
    picture.add_trace(go.Image(source=encode_png(canvas), zsmooth=False, hoverinfo="skip"))
    middle = [(n - 1) / 2 for n in (wide, high)]
    ticks = {"tickmode": "array", "showgrid": False, "zeroline": False}
    across = [j * wide + middle[0] for j in range(len(columns))]
    down = [i * high + middle[1] for i in range(len(rows))]
    picture.update_xaxes(tickvals=across, ticktext=columns, constrain="domain", **ticks)
    picture.update_yaxes(tickvals=down, ticktext=rows, autorange="reversed", **ticks)
    picture.update_yaxes(scaleanchor="x", constraintoward="top")
    return picture.update_layout(height=max(220, min(1400, 110 + 700 * canvas.shape[0] // canvas.shape[1])))


@describe.register
def _(result: Traversal) -> str:
    farthest = result.distance.amax(dim=1)
    most, still = int(farthest.argmax()), int((farthest < 0.05 * farthest.max()).sum())
    return (
        f"Moving {result.hook}[{result.axis}={result.units[most]}] from {result.offset[0]:g} to {result.offset[-1]:g} "
        f"standard deviations changes {result.seen} most, by up to {short(float(farthest[most]))} (Euclidean); "
        f"{still} of {len(result.units)} change it by less than a twentieth of that."
    )
