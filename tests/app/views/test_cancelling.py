"""Tests that long work of a page is cancelled by its button, and stops when no page polls it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from app.state import jobs
from app.widgets import episode_view
from tests.app.pages import Open, open_page, said_by
from workbench.core.errors import Cancelled
from workbench.core.progress import Progress
from workbench.experiments import difference
from workbench.experiments.pipelines import checking

PAGES = {
    "difference": (difference, "trace", {"m": "tales_ppo"}),
    "episodes": (episode_view, "play", {"m": "cartpole_ppo"}),
    "training": (checking, "check", {"do": "Check", "r": "digits_mlp"}),
}
"""Each page with the function that does its work, and the choices of its link."""


def endless(*arguments: Any) -> NoReturn:
    """Work that only its progress can stop; it is the last argument."""
    report: Progress = arguments[-1]
    while True:
        report(1, 100)
        time.sleep(0.005)


@pytest.fixture
def endlessly(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens a page whose work does not end by itself, and is not known from an earlier test."""
    module, name, choices = PAGES[request.param]
    monkeypatch.setattr(module, name, endless)
    monkeypatch.setenv("WORKBENCH_RUNS", str(tmp_path))
    forget_jobs()
    yield lambda: open_page(request.param, choices)
    forget_jobs()


def forget_jobs() -> None:
    for job in [*jobs.board().jobs.values()]:
        job.stop()
        jobs.board().forget(job.key)


def running(title: str) -> jobs.Job:
    return next(job for job in jobs.board().running() if job.title.startswith(title))


TITLES = [("difference", "difference of tales_ppo"), ("episodes", "episode of cart"), ("training", "check of digits")]


@pytest.mark.parametrize(("endlessly", "title"), TITLES, indirect=["endlessly"])
def test_long_work_is_cancelled_by_its_button_and_can_be_run_again(endlessly: Open, title: str) -> None:
    page = endlessly()
    job = running(title)
    page = next(button for button in page.button if button.key == f"cancel {job.key}").click().run()
    with pytest.raises(Cancelled):
        job.future.result(20)
    page.run()
    assert not page.exception and not page.error
    assert any("Cancelled" in said_by(box) for box in page.info)
    assert [button for button in page.button if button.label == "Run again"]


@pytest.mark.parametrize(("endlessly", "title"), TITLES, indirect=["endlessly"])
def test_long_work_stops_when_its_reader_leaves(endlessly: Open, title: str) -> None:
    page = endlessly()
    job = running(title)
    jobs.board().leave(next(iter(job.readers)), [job.key])
    with pytest.raises(Cancelled):
        job.future.result(20)
    assert not page.exception
