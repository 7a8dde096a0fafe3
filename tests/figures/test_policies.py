"""Tests of the figures of interventions, circuit returns and episodes."""

from __future__ import annotations

import plotly.graph_objects as go
import pytest
import torch

from workbench.analysis.policies.circuit_returns import CircuitReturns
from workbench.analysis.policies.interventions import InterventionReturns
from workbench.analysis.policies.traces import EpisodeTrace
from workbench.figures.alt import describe
from workbench.figures.episode import draw_timeline
from workbench.figures.figure import figure
from workbench.figures.table import table


def effects() -> InterventionReturns:
    intact = torch.full((4,), 10.0)
    edited = torch.stack([intact, intact - 6, intact + 1])
    change = edited - intact
    return InterventionReturns(("a", "b", "c"), (0, 1, 2, 3), intact, edited, change.mean(1), change.mean(1) - 0.5,
                               change.mean(1) + 0.5)  # fmt: skip


def circuits() -> CircuitReturns:
    rows = lambda *means: torch.tensor(means)[:, None].expand(-1, 5).clone()
    return CircuitReturns(
        torch.tensor([1, 10, 100]), rows(0.0, 9.5, 10.0), rows(0.0, 5.0, 10.0), rows(0.0, 1.0, 10.0)[None],
        torch.full((5,), 10.0), torch.zeros(5), {},
    )  # fmt: skip


def trace(n: int = 6) -> EpisodeTrace:
    series = torch.linspace(0, 1, n)
    probability = torch.full((n, 2), 0.5)
    return EpisodeTrace(torch.zeros(n, 3), probability, probability, series, series, 0 * series, series, series, series,
                        torch.zeros(n, dtype=torch.long), torch.ones(n), True)  # fmt: skip


def test_effects_are_sorted_with_their_intervals() -> None:
    (bars,) = figure(effects()).data
    assert list(bars.x) == ["b", "a", "c"] and list(bars.y) == [-6, 0, 1]
    assert list(bars.error_y.array) == pytest.approx([0.5] * 3)
    assert "'b' changes the return most, by −6" in describe(effects()) and "2 of 3 intervals" in describe(effects())
    rows = table(effects())
    assert len(rows) == 12 and rows.loc[rows["condition"] == "b", "edited"].tolist() == [4.0] * 4


def test_circuits_stand_beside_their_controls() -> None:
    picture = figure(circuits())
    lines = {line.name: list(line.y) for line in picture.data if isinstance(line, go.Scatter)}
    assert lines["by attribution"] == pytest.approx([0, 9.5, 10]) and lines["by magnitude"][1] == pytest.approx(5)
    assert "needs 10 edges by attribution, no smaller circuit by magnitude" in describe(circuits())
    assert len(table(circuits())) == 15


def test_an_episode_is_drawn_beside_its_changed_twin() -> None:
    alone, both = draw_timeline(trace()), draw_timeline(trace(), trace(4), step=2)
    assert len(alone.data) == 3 and len(both.data) == 6 and len(both.layout.shapes) == 3
    assert "took 6 steps, returned 6" in describe(trace())
    assert list(table(trace())["value"]) == pytest.approx(trace().value.tolist())
