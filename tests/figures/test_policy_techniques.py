"""Tests of the figures and sentences of counterfactuals, saliency, probes and other policy techniques."""

from __future__ import annotations

import plotly.graph_objects as go
import pytest
import torch

from workbench.analysis.policies.alike import Alikeness
from workbench.analysis.policies.counterfactuals import Counterfactuals
from workbench.analysis.policies.probes import Probes
from workbench.analysis.policies.q_accuracy import QAccuracy
from workbench.analysis.policies.reachable import ReachableMaxima
from workbench.analysis.policies.saliency import Saliency
from workbench.analysis.policies.steering import FieldChange
from workbench.figures.alt import describe
from workbench.figures.figure import figure
from workbench.figures.table import table


def flips(found: tuple[bool, ...] = (True, False, True)) -> Counterfactuals:
    seen = torch.zeros(3, 2)
    return Counterfactuals(seen, seen + 1, torch.tensor([0, 1, 0]), torch.tensor([1, 1, 2]),
                           torch.tensor([2.0, 9.0, 1.5]), torch.tensor(found))  # fmt: skip


def field(change: str = "trunk.blocks.0.hook_post[channel=1]") -> FieldChange:
    places = torch.tensor([[0, 0], [0, 1], [1, 1]])
    before = torch.tensor([[0.0, 1.0], [1.0, 0.0], [-1.0, 0.0]])
    after = torch.tensor([[0.0, 1.0], [-0.5, 0.0], [-1.0, 0.0]])
    return FieldChange(change, places, before, after, torch.tensor([0.0, 0.75, 0.0]))


def test_the_easiest_flip_is_told_and_what_was_not_found_is_no_flip() -> None:
    assert "2 of 3 actions can be changed" in describe(flips())
    assert "example 2 needs the smallest one (1.5, from action 0 to 2)" in describe(flips())
    assert "No change was found" in describe(flips((False, False, False)))
    rows = table(flips())
    assert len(rows) == 3 and rows["changed_1"].tolist() == [1, 1, 1] and rows["found"].tolist() == [True, False, True]
    assert list(figure(flips()).data[0].y) == [2, 9, 1.5]


def test_a_field_has_an_arrow_for_each_place_and_two_when_it_was_changed() -> None:
    lines = [t for t in figure(field()).data if isinstance(t, go.Scatter) and t.type == "scatter" and t.mode == "lines"]
    assert [line.name for line in lines] == ["intact", "changed"]
    start, end = (lines[0].x[0], lines[0].y[0]), (lines[0].x[1], lines[0].y[1])
    assert end[0] - start[0] == pytest.approx(0.42) and end[1] == start[1]  # to the right: the column grows
    floor = torch.tensor(figure(field()).data[0].z)
    assert floor[0].tolist() == [0, 0.75] and floor[1, 0].isnan() and floor[1, 1] == 0  # a wall where no place is
    assert "reverses 1 of 3 moves" in describe(field()) and "row 0, column 1 (75 %)" in describe(field())
    assert len([t for t in figure(field("")).data if t.type == "scatter" and t.mode == "lines"]) == 1
    assert "mean move is 1 squares long" in describe(field(""))
    assert table(field())["after_row"].tolist() == [0, -0.5, -1]


def test_saliency_of_numbers_and_of_grids_names_the_entry_that_matters() -> None:
    rows = torch.tensor([[0.0, -2.0], [1.0, 4.0]])
    assert "Removing entry 1 changes the metric most, by 3 " in describe(Saliency(rows, rows))
    assert len(table(Saliency(rows, rows))) == 4
    grids = torch.zeros(2, 3, 4, 5)
    grids[:, 1, 2, 3] = 6
    assert "square (row 2, column 3)" in describe(Saliency(grids, grids))
    assert torch.tensor(figure(Saliency(grids, grids)).data[1].z)[2, 3] == 6


def test_the_gap_between_box_and_environment_is_told() -> None:
    seen = torch.zeros(2, 3)
    scores = torch.tensor([[0.1, 0.2], [1.0, 3.0], [1.0, 0.5]])
    result = ReachableMaxima("h", "unit", (4, 7), *scores, seen, seen, torch.tensor([0, 1]), torch.tensor([5, 6]))
    assert "1 of 2 units reach a higher activation" in describe(result) and "unit 7: 3 against 0.5" in describe(result)
    assert [list(bars.y) for bars in figure(result).data][1] == [1, 0.5]
    assert table(result)["unit"].tolist() == [4, 7]


def test_expectations_stand_beside_what_came() -> None:
    q, exact = torch.tensor([[1.0, 2.0]]), torch.tensor([[2.0, 4.0]])
    result = QAccuracy(torch.tensor([3]), torch.zeros(1, 2), q, exact, -1.5, 1.0, 1.0)
    assert "Q is 1.5 below the return of playing on (mean 3), with a correlation of 1" in describe(result)
    assert table(result)["exact"].tolist() == [2, 4] and list(figure(result).data[1].x) == [4]


def test_probes_stand_beside_their_controls() -> None:
    result = Probes(("raw input", "h"), torch.tensor([0.1, 0.8]), torch.tensor([[0.0, 0.2], [0.7, 0.9]]), 0.0, 50)
    assert "raw input 0.1, h 0.8; chance 0" in describe(result)
    assert len(table(result)) == 4 and list(figure(result).data[0].y) == pytest.approx([0.1, 0.8])


def test_overlap_stands_beside_chance() -> None:
    half = torch.tensor([0.5])
    result = Alikeness(("untrained",), ("h",), 9, half, half / 5, half, half[None])
    assert "Overlap of the 9 strongest edges: untrained 0.5; with units paired at random" in describe(result)
    assert describe(result).endswith("untrained 0.1; CKA untrained at h 0.5.")
    assert [bars.name for bars in figure(result).data][-1] == "CKA h" and len(table(result)) == 1
