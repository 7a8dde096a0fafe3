"""Tests of every view of every result: figure, table, sentence, text and notebook."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
import pytest
import torch
from jaxtyping import Float
from torch import Tensor

import workbench
from tests.figures.results import RESULTS, Unheard
from tests.test_registries import QUICK, hook_with_units
from workbench.core.coordinates import Result
from workbench.core.notebook import LINES
from workbench.core.registry import ANALYSES
from workbench.experiments.questions.parameters import signature_of
from workbench.experiments.run import run_analysis
from workbench.figures.alt import describe
from workbench.figures.figure import CHOICES, FACETS

SMALL = {"composition": "induction_gpt", "head_patterns": "induction_gpt", "vector_field": "maze_ppo"}


@dataclass(frozen=True)
class Cube(Result):
    parts: tuple[str, ...]
    score: Float[Tensor, "part query key"]


@dataclass(frozen=True)
class Tesseract(Result):
    hooks: tuple[str, ...]
    score: Float[Tensor, "hook head query key"]


def cube(n: int) -> Cube:
    return Cube(tuple(f"part {i}" for i in range(n)), torch.arange(n * 6.0).reshape(n, 2, 3))


def tesseract(layers: int, heads: int) -> Tesseract:
    score = torch.arange(layers * heads * 6.0).reshape(layers, heads, 2, 3)
    return Tesseract(tuple(f"h{i}" for i in range(layers)), score)


def require_every_view(result: object) -> None:
    assert workbench.figure(result).data and len(workbench.table(result))
    sentence = describe(result)
    assert sentence.endswith(".") and "{" not in sentence and "nan" not in sentence.split()
    assert len(repr(result).splitlines()) <= LINES
    bundle = result._repr_mimebundle_()
    assert bundle["text/plain"] == f"{result!r}\n{sentence}"
    assert any(kind in bundle for kind in ("application/vnd.plotly.v1+json", "text/html"))


@pytest.mark.parametrize("analysis", ANALYSES)
@pytest.mark.slow
def test_every_registered_analysis_has_every_view(analysis: str) -> None:
    needed = getattr(ANALYSES[analysis], "needed_axes", ())
    model = SMALL.get(analysis) or ("cartpole_ppo" if "action" in needed else "digits_mlp")
    known = signature_of(analysis).parameters
    parameters = {name: value for name, value in QUICK.items() if name in known}
    if "hook" in known:
        parameters["hook"] = hook_with_units(workbench.load(model))
    require_every_view(run_analysis(analysis, model, **parameters))


@pytest.mark.parametrize("result", [cube(1), cube(3), cube(20), cube(200), tesseract(2, 3), tesseract(5, 9)], ids=repr)
def test_results_of_three_and_four_axes_have_every_view(result: Result) -> None:
    require_every_view(result)


def test_curves_and_results_with_views_of_their_own_are_shown_in_notebooks() -> None:
    for result in RESULTS:
        if not isinstance(result, Unheard):  # a dataclass alone has figure and table, but no notebook view
            require_every_view(result)


def test_few_entries_of_a_third_axis_are_panels_with_one_scale() -> None:
    picture = workbench.figure(cube(3))
    assert [note.text for note in picture.layout.annotations] == ["part 0", "part 1", "part 2"]
    assert torch.tensor(picture.data[2].z).tolist() == cube(3).score[2].tolist()
    assert {trace.zmax for trace in picture.data} == {17.0}


def test_many_are_a_menu_that_shows_one_at_a_time() -> None:
    picture = workbench.figure(tesseract(5, 9))
    (menu,) = picture.layout.updatemenus
    assert len(picture.data) == len(menu.buttons) == 45 > FACETS
    assert menu.buttons[10].label == "h1, head 1"
    shown = [i for i, on in enumerate(menu.buttons[10].args[0]["visible"]) if on]
    assert shown == [10] and np.array(picture.data[10].z).tolist() == tesseract(5, 9).score[1, 1].tolist()
    assert [trace.visible for trace in picture.data].count(True) == 1


def test_of_more_than_a_menu_holds_the_strongest_stay_and_the_title_says_so() -> None:
    picture = workbench.figure(cube(200))
    assert len(picture.data) == CHOICES and f"the {CHOICES} of 200 with the largest values" in picture.layout.title.text
    assert np.max([trace.z for trace in picture.data]) == float(cube(200).score.max())


def test_a_table_of_four_axes_has_a_row_for_each_entry() -> None:
    rows, result = workbench.table(tesseract(2, 3)), tesseract(2, 3)
    assert list(rows.columns) == ["hook", "head", "query", "key", "score"] and len(rows) == 2 * 3 * 2 * 3
    row = rows.query("hook == 'h1' and head == 2 and query == 0 and key == 1")
    assert row["score"].tolist() == [float(result.score[1, 2, 0, 1])]


def test_a_tensor_with_one_axis_more_than_the_rows_is_a_column_for_each_entry() -> None:
    @dataclass(frozen=True)
    class Values(Result):
        actions: tuple[str, ...]
        value: Float[Tensor, " step"]
        q: Float[Tensor, "step action"]

        view = workbench.core.coordinates.View(main="value")

    rows = workbench.table(Values(("left", "right"), torch.tensor([1.0, 2.0]), torch.tensor([[1.0, 3.0], [2.0, 4.0]])))
    assert list(rows.columns) == ["step", "value", "q_left", "q_right"] and rows["q_right"].tolist() == [3.0, 4.0]


def test_the_figure_of_a_single_entry_names_it_in_the_title() -> None:
    picture = workbench.figure(cube(1))
    assert isinstance(picture.data[0], go.Heatmap) and picture.layout.title.text.endswith("part 0")
