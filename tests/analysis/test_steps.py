"""Tests of the steps of long computations: each is counted once, with a report in between."""

from __future__ import annotations

from workbench.analysis.steps import Steps


def test_steps_are_counted_once_and_reported_in_between() -> None:
    reports: list[tuple[int, int]] = []
    steps = Steps(lambda done, total: reports.append((done, total)), 3)
    steps.pulse(7, 9)
    double = steps.count(lambda x: 2 * x)
    assert [double(1), double(2)] == [2, 4]
    steps.finish()
    steps.finish()
    assert reports == [(0, 3), (1, 3), (2, 3), (3, 3), (3, 3)]
