"""Grid of image tiles as a single image with square pixels."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from math import ceil

import plotly.graph_objects as go
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from workbench.figures.theme import make_figure

GAP = 3
"""Gap between images, in pixels of the small ones."""


@dataclass(frozen=True)
class Tile:
    """Image and up to four small ones beside it, at half its size; values in 0..1."""

    picture: Float[Tensor, "channel height width"]
    beside: Float[Tensor, "n channel height width"]
    name: str
    """Text above the tile."""
    site: str
    """Site that is selected by a click."""
    about: str
    """Text shown on hover."""


def draw_mosaic(tiles: list[Tile], across: int, title: str) -> go.Figure:
    """Draw tiles in rows of `across`, with their names."""
    height, width = tiles[0].picture.shape[1:]
    step_y, step_x, head = 2 * height + GAP * 2, 4 * width + GAP * 4, max(4, height // 2)
    across, down = min(across, len(tiles)), ceil(len(tiles) / across)
    canvas = torch.zeros(down * (step_y + head), across * step_x - 2 * GAP, 4, dtype=torch.uint8)
    places = [((i // across) * (step_y + head) + head, (i % across) * step_x) for i in range(len(tiles))]
    for (top, left), tile in zip(places, tiles, strict=True):
        paste(canvas, tile.picture.repeat_interleave(2, 1).repeat_interleave(2, 2), top, left)
        for k, small in enumerate(tile.beside[:4]):
            paste(canvas, small, top + (k // 2) * (height + 1), left + 2 * width + GAP + (k % 2) * (width + 1))
    picture = make_figure(title)
    picture.add_trace(go.Image(source=encode_png(canvas), zsmooth=False, hoverinfo="skip"))
    picture.add_trace(
        go.Scatter(
            x=[left + width for _, left in places],
            y=[top + height for top, _ in places],
            mode="markers",
            marker={"symbol": "square", "size": 60, "opacity": 0},
            customdata=[tile.site for tile in tiles],
            text=[tile.about for tile in tiles],
            hovertemplate="%{customdata}<br>%{text}<extra></extra>",
            showlegend=False,
        )
    )
    look = {"xanchor": "left", "yanchor": "bottom", "showarrow": False, "font": {"size": 11}}
    names = [{"x": x - 1, "y": y, "text": tile.name, **look} for (y, x), tile in zip(places, tiles, strict=True)]
    picture.update_layout(annotations=names, height=max(220, min(1200, 90 + 900 * canvas.shape[0] // canvas.shape[1])))
    picture.update_xaxes(visible=False, constrain="domain")
    return picture.update_yaxes(visible=False, autorange="reversed", scaleanchor="x", constraintoward="top")


def paste(canvas: UInt8[Tensor, "height width 4"], image: Float[Tensor, "channel h w"], top: int, left: int) -> None:
    """Copy an image to the canvas; images without three channels become grey."""
    colours = image if len(image) == 3 else image.mean(dim=0, keepdim=True).expand(3, -1, -1)
    height, width = image.shape[1:]
    region = canvas[top : top + height, left : left + width]
    region[..., :3] = (255 * colours).round().to(torch.uint8).movedim(0, 2)
    region[..., 3] = 255


def encode_png(canvas: UInt8[Tensor, "height width 4"]) -> str:
    """Encode the canvas as a PNG data URL."""
    content = io.BytesIO()
    Image.fromarray(canvas.numpy(), "RGBA").save(content, "PNG")
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"
