"""Tests of the mosaic: every image is where its name and marker are."""

from __future__ import annotations

import base64
import io

import torch
from PIL import Image

from workbench.figures.mosaic import Tile, draw_mosaic


def test_the_mosaic_holds_the_pixels_where_its_markers_say() -> None:
    red = torch.zeros(3, 4, 4)
    red[0] = 1
    picture = draw_mosaic([Tile(red, torch.ones(1, 3, 4, 4), "a", "hook[unit=0]", "")], across=4, title="")
    content = base64.b64decode(picture.data[0].source.partition(",")[2])
    pixels = Image.open(io.BytesIO(content))
    assert pixels.getpixel((int(picture.data[1].x[0]), int(picture.data[1].y[0]))) == (255, 0, 0, 255)
    assert pixels.getpixel((0, 0))[3] == 0  # nothing behind the names: light and dark grounds show through
