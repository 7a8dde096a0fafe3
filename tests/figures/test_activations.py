"""Tests of figures of activations with any axes, in full or at one index."""

from __future__ import annotations

from dataclasses import replace
from math import isnan

import numpy as np
import pytest
import torch

from workbench.analysis.activations import Activations
from workbench.core.axes import AXES
from workbench.experiments.run import run_analysis
from workbench.figures.activations import draw_patterns
from workbench.figures.figure import figure

FAMILIES = ("digits_mlp", "shapes_cnn", "shapes_gan", "shapes_vae", "cliffwalking_q", "dates_encoder_decoder")
FOREIGN = (
    "height width channel",
    "query key",
    "head key query",
    "axis1",
    "axis1 axis2 axis3 axis4",
    "step height width",
)


def known_axes() -> list[tuple[str, ...]]:
    """The axes of every hook of a network of each family, without the batch, and some that a foreign one may have."""
    found = {tuple(axes[1:]) for model in FAMILIES for axes in run_analysis("anatomy", model).axes}
    return sorted(found | {tuple(text.split()) for text in FOREIGN})


def example(axes: tuple[str, ...]) -> Activations:
    sizes = [2 + AXES.index(axis) % 3 for axis in axes]
    values = torch.arange(1.0, 1 + np.prod(sizes, dtype=int)).reshape(1, *sizes)
    return Activations("hook", ("batch", *axes), values, torch.zeros(1, 2))


def drawn(picture: object) -> list[float]:
    """All numbers in a figure's bars and cells, in ascending order; gaps between maps are left out."""
    values: list[float] = []
    for trace in picture.data:  # type: ignore[attr-defined]
        values += np.ravel(np.array(trace.y if trace.type == "bar" else trace.z, dtype=float)).tolist()
    return sorted(value for value in values if not isnan(value))


@pytest.mark.parametrize("axes", known_axes(), ids=" ".join)
def test_every_activation_is_drawn_whole_and_each_of_its_units_alone(axes: tuple[str, ...]) -> None:
    whole = example(axes)
    assert drawn(figure(whole)) == whole.values.flatten().tolist()
    for place, axis in enumerate(axes, 1):
        one = replace(whole, axes=tuple(a for a in whole.axes if a != axis), values=whole.values.select(place, 1))
        assert drawn(figure(one)) == sorted(one.values.flatten().tolist())


def test_one_head_has_one_square_and_one_channel_one_map_without_a_number() -> None:
    head = figure(example(("query", "key")))
    assert len(head.data) == 1 and not head.layout.annotations
    channel = figure(example(("height", "width")))
    assert len(channel.data) == 1 and not channel.layout.annotations
    assert channel.data[0].text[0][0] == "row 0, column 0"


def test_rows_of_a_map_run_down_whatever_order_the_axes_have() -> None:
    values = torch.arange(12.0).reshape(1, 2, 3, 2)  # height, width, channel
    picture = figure(Activations("hook", ("batch", "height", "width", "channel"), values, torch.zeros(1, 2)))
    first = np.array(picture.data[0].z)[:2, :3]
    np.testing.assert_array_equal(first, values[0, :, :, 0].numpy())


@pytest.mark.parametrize("n", [1, 12, 48, 144])
def test_any_number_of_heads_has_room(n: int) -> None:
    assert len(draw_patterns(torch.rand(n, 3, 3), "patterns", "head").data) == n
