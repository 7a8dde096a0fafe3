"""Tests of the figures of ablation, patching, circuits and curves, and of the default figure."""

from __future__ import annotations

import json
from collections.abc import Callable

import plotly.graph_objects as go
import pytest
import torch

from tests.figures.results import RESULTS, ablation, circuit, curve, patching, unheard
from workbench.core.errors import InputError
from workbench.figures.figure import figure
from workbench.figures.table import table
from workbench.figures.theme import BLUE, ORANGE

every_result = pytest.mark.parametrize("result", RESULTS, ids=lambda result: type(result).__name__)


def traces(result: object, kind: type) -> list:
    return [trace for trace in figure(result).data if isinstance(trace, kind)]


@every_result
def test_every_result_has_a_figure_that_needs_nothing_from_elsewhere(result: object) -> None:
    picture = figure(result)
    assert len(picture.data) and picture.layout.title.text
    text = json.dumps(picture.to_plotly_json(), default=str)
    assert "$" not in text.replace("$ref", "") and "http" not in text
    assert not [trace for trace in picture.data if "map" in trace.type and trace.type != "heatmap"]
    assert picture.layout.template.layout.paper_bgcolor == "rgba(0,0,0,0)"


def test_ablation_sorts_its_units_and_colours_them_by_sign() -> None:
    (bars,) = traces(ablation(), go.Bar)
    assert list(bars.x) == ["unit 1", "unit 2", "unit 0"] and list(bars.y) == sorted(bars.y)
    assert list(bars.marker.color) == [BLUE, ORANGE, ORANGE]
    assert (bars.error_y.array[0], bars.error_y.arrayminus[0]) == pytest.approx((1, 1))  # draws of -4, -5 and -6


def test_a_single_example_has_no_interval() -> None:
    (bars,) = traces(ablation(n=1), go.Bar)
    assert list(bars.error_y.array) == [0, 0, 0]


@every_result
def test_values_are_coloured_about_zero(result: object) -> None:
    for trace in traces(result, go.Heatmap):
        assert trace.zmin == -trace.zmax
        assert (
            trace.colorscale[0][1] == BLUE and trace.colorscale[1][1] == "#ffffff" and trace.colorscale[2][1] == ORANGE
        )


def test_patching_has_a_panel_for_each_layer_a_row_for_each_head_and_a_column_for_each_position() -> None:
    panels = traces(patching(), go.Heatmap)
    assert [(len(panel.y), len(panel.x)) for panel in panels] == [(2, 4), (2, 4)]
    assert torch.tensor(panels[1].z).flatten().tolist() == pytest.approx(patching().effect[1].flatten().tolist())
    assert [panel.zmax for panel in panels] == pytest.approx([0.9, 0.9])  # one scale for all
    assert figure(patching()).layout.annotations[1].text == "blocks.1.attn.hook_z"
    assert figure(patching()).layout.xaxis.title.text == "pos"
    (one_layer,) = traces(patching(1), go.Heatmap)
    assert list(one_layer.y) == ["head 0", "head 1"]


def test_a_circuit_shows_its_pruned_edges_and_the_curve_beside_random_ones() -> None:
    picture = figure(circuit())
    curves = {trace.name: list(trace.y) for trace in picture.data if trace.yaxis == "y2" and trace.name}
    assert curves["strongest edges"] == pytest.approx([0, 0.95, 1])
    assert curves["random edges, mean of 2"] == pytest.approx([0, 0.2, 1])
    names = [name for trace in picture.data if trace.yaxis != "y2" for name in (trace.customdata or ())]
    assert "hook_input[feature=0]" in names and "readout.hook_logits[class=0]" in names
    assert any(str(name).startswith("hook_input[feature=0] -> blocks.0.hook_pre[unit=0]") for name in names)
    assert {trace.name for trace in picture.data if trace.showlegend} >= {"raises the metric"}


def test_curves_of_one_quantity_share_a_panel() -> None:
    picture = figure(curve())
    panels = {trace.name: trace.yaxis for trace in picture.data}
    assert panels["train loss"] == panels["test loss"] != panels["test accuracy"]
    assert list(picture.data[0].x) == [0, 100]


def test_a_result_without_a_figure_is_drawn_from_its_annotations() -> None:
    (table,) = traces(unheard(), go.Heatmap)
    assert list(table.y) == ["head 0", "head 1"] and list(table.x) == ["place 0", "place 1"]
    assert torch.tensor(table.z).tolist() == [[0.0, 3.0], [-1.0, 2.0]]


def test_what_is_no_result_is_refused() -> None:
    with pytest.raises(InputError, match="not a result"):
        figure(3)


@pytest.mark.parametrize("draw", [figure, table])
@pytest.mark.parametrize("given", [torch.zeros(3), [1.0], None, 3, torch.nn.ReLU(), int])
def test_what_is_no_result_is_refused_by_its_type(draw: Callable[[object], object], given: object) -> None:
    with pytest.raises(InputError, match=f"object of type {type(given).__name__} is not a result"):
        draw(given)
