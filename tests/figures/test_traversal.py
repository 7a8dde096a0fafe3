"""Tests of the figure, table and sentence of traversals."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

import workbench
from tests.figures.results import traversal
from workbench.figures.alt import describe
from workbench.figures.traversal import SCALE


def test_images_stand_in_rows_of_units_and_columns_of_moves() -> None:
    result = traversal()
    picture = workbench.figure(result)
    content = base64.b64decode(picture.data[0].source.partition(",")[2])
    pixels = np.array(Image.open(io.BytesIO(content)))
    high, wide = SCALE * 4 + 2, SCALE * 6 + 2
    assert pixels.shape == (2 * high, 3 * wide, 4)
    for unit in range(2):
        for step in range(3):
            patch = pixels[unit * high, step * wide, 0]
            assert abs(patch / 255 - float(result.response[unit, step, 0, 0, 0])) < 0.01
    assert list(picture.layout.yaxis.ticktext) == ["latent 4", "latent 7"]


def test_what_is_no_image_is_a_map_of_distances() -> None:
    picture = workbench.figure(traversal((5,)))
    assert picture.data[0].z[0][2] == 3.0 and list(picture.data[0].y) == ["latent 4", "latent 7"]


def test_the_table_names_units_and_moves() -> None:
    rows = workbench.table(traversal())
    assert rows["latent"].tolist() == [4, 4, 4, 7, 7, 7] and rows["offset"].tolist()[:3] == [-3.0, 0.0, 3.0]
    assert rows["distance"].tolist()[2] == 3.0 and rows["value"].tolist()[5] == 2.0


def test_the_words_name_the_unit_that_matters_most() -> None:
    said = describe(traversal())
    assert "hook_latent[latent=4]" in said and "1 of 2 change it by less" in said
