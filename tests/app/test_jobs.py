"""Long work beside the page: asked once, reported, cancelled, forgotten."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from app import jobs
from app.jobs import KEPT, Board, Job
from workbench.core.errors import Cancelled


@dataclass(frozen=True)
class Question:
    """Stands in for a specification."""

    key: str
    analysis: str = "counting"
    model: str = "toy"


@pytest.fixture
def board() -> Iterator[Board]:
    made = Board()
    yield made
    made.pool.shutdown(wait=True, cancel_futures=True)


def answers(monkeypatch: pytest.MonkeyPatch, work: Callable[[Job], Any]) -> None:
    monkeypatch.setattr(jobs, "answer", work)


def test_the_same_question_is_asked_once(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    answers(monkeypatch, lambda job: asked.append(job.key) or 7)
    assert [board.ask(Question("a")).future.result(10) for _ in range(3)] == [7, 7, 7]
    assert asked == ["a"]


def test_a_forgotten_question_is_asked_anew(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, lambda job: object())
    first = board.ask(Question("a")).future.result(10)
    board.forget("a")
    assert board.ask(Question("a")).future.result(10) is not first


def test_a_cancelled_job_stops_at_its_next_report(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = threading.Event()

    def count(job: Job) -> None:
        for step in range(100_000):
            begun.set()
            job.report(step, 100_000)
            job.cancel.wait(0.001)

    answers(monkeypatch, count)
    job = board.ask(Question("a"))
    assert begun.wait(10) and job in board.running()
    job.cancel.set()
    with pytest.raises(Cancelled, match="nothing of it was stored"):
        job.future.result(10)
    assert board.running() == []


def test_old_jobs_are_forgotten_and_running_ones_are_not(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    answers(monkeypatch, lambda job: gate.wait(20) if job.key == "slow" else None)
    slow = board.ask(Question("slow"))
    for number in range(KEPT + 20):
        board.ask(Question(str(number))).future.result(10)
    assert len(board.jobs) <= KEPT + 1 and board.find("slow") is slow
    gate.set()


def test_progress_says_how_far_and_how_long() -> None:
    job = Job(Question("a"), "a")
    assert "starting" in job.text and job.share == 0.0
    job.report(25, 100)
    job.started -= 10.0
    assert job.share == 0.25 and "25 of 100, about 30 s left" in job.text


def test_a_job_that_failed_says_so_to_whoever_waits(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(job: Job) -> None:
        raise ValueError("no such unit")

    answers(monkeypatch, fail)
    with pytest.raises(ValueError, match="no such unit"):
        board.ask(Question("a")).future.result(10)
