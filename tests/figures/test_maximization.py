"""Tests of the figure, sentence and table of activation maximization, for every kind of input."""

from __future__ import annotations

import plotly.graph_objects as go
import pytest
import torch

from workbench.analysis.maximization import Maximization
from workbench.figures.alt import describe
from workbench.figures.figure import figure
from workbench.figures.maximization import find_picture_shape
from workbench.figures.table import table


def result(inputs: torch.Tensor, examples: torch.Tensor, **texts: tuple) -> Maximization:
    flat = inputs.ndim < 3
    ends = (examples.amin(), examples.amax()) if flat else (torch.zeros(3, 1, 1), torch.ones(3, 1, 1))
    return Maximization(
        hook="blocks.0.hook_post", axis="unit", objective="channel", units=(4, 7), inputs=inputs,
        start=torch.zeros(2), reached=torch.tensor([3.0, 1.0]), trace=torch.zeros(2, 5), examples=examples,
        rows=torch.tensor([[1, 0], [0, 1]]), activations=torch.tensor([[1.5, 1.0], [2.0, 0.0]]),
        success=torch.tensor([True, False]), gain=torch.tensor([2.0, 0.5]), top1=torch.tensor([True, True]),
        low=ends[0], high=ends[1], **texts,
    )  # fmt: skip


def test_images_are_a_mosaic_whose_tiles_name_their_sites() -> None:
    picture = figure(result(torch.rand(2, 3, 4, 4), torch.rand(2, 2, 3, 4, 4)))
    assert [type(trace) for trace in picture.data] == [go.Image, go.Scatter]
    assert list(picture.data[1].customdata) == ["blocks.0.hook_post[unit=4]", "blocks.0.hook_post[unit=7]"]
    assert [note.text for note in picture.layout.annotations] == ["unit 4 · 2×", "unit 7 · 0.5×"]


@pytest.mark.parametrize(
    ("shape", "drawn"),
    [((64,), (1, 8, 8)), ((784,), (1, 28, 28)), ((4,), None), ((20,), None), ((3, 32, 32), (3, 32, 32))],
)
def test_features_that_make_a_square_are_drawn_as_one(shape: tuple[int, ...], drawn: tuple[int, ...] | None) -> None:
    assert find_picture_shape(shape) == drawn


def test_64_features_are_a_grey_picture_of_8_by_8() -> None:
    assert isinstance(figure(result(torch.rand(2, 64), torch.rand(2, 2, 64))).data[0], go.Image)


def test_other_features_are_bars_beside_the_best_natural_example() -> None:
    found, natural = torch.rand(2, 4), torch.rand(2, 2, 4)
    picture = figure(result(found, natural))
    assert [trace.name for trace in picture.data] == ["found", "best natural"] * 2
    assert list(picture.data[2].y) == found[1].tolist()
    assert list(picture.data[3].y) == natural[1, 0].tolist()


def test_tokens_are_a_table_of_texts_with_visible_spaces() -> None:
    tokens = {"texts": ("a b", "c\n"), "example_texts": (("x <", "y"), ("z", "w"))}
    made = result(torch.zeros(2, 3, dtype=torch.long), torch.zeros(2, 2, 3, dtype=torch.long), **tokens)
    cells = figure(made).data[0].cells["values"]
    assert list(cells[2]) == ["a␣b", "c⏎"]
    assert list(cells[4]) == ["x␣&lt;", "z"]
    assert list(table(made)["text"]) == ["a␣b", "c⏎"]


def test_tokens_without_a_tokenizer_are_numbers() -> None:
    made = result(torch.tensor([[1, 2], [3, 4]]), torch.zeros(2, 2, 2, dtype=torch.long))
    assert list(figure(made).data[0].cells["values"][2]) == ["1 2", "3 4"]


def test_the_sentence_tells_how_many_units_were_excited_beyond_nature() -> None:
    text = describe(result(torch.rand(2, 4), torch.rand(2, 2, 4)))
    assert text.startswith("1 of 2 units (unit) at blocks.0.hook_post exceed their best natural example")
    assert "unit 4 reaches the largest activation, 3 (natural 1.5)" in text


def test_the_table_has_a_row_for_each_unit() -> None:
    rows = table(result(torch.rand(2, 4), torch.rand(2, 2, 4)))
    assert list(rows["unit"]) == [4, 7]
    assert list(rows["natural"]) == [1.5, 2.0]
    assert list(rows["success"]) == [True, False]
