"""Tests of background jobs: sharing, progress, cancellation and removal."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from app.state.jobs import ABANDONED, KEPT, ROOM, Board, Job, weight
from workbench.core.errors import Cancelled
from workbench.core.progress import Progress


@pytest.fixture
def board() -> Iterator[Board]:
    made = Board()
    yield made
    for job in made.running():
        job.stop()


def ask(board: Board, key: str, work: Callable[[Progress], Any] = lambda report: None, lasting: bool = False) -> Job:
    return board.ask(key, "counting of toy", work, lasting)


def count(begun: threading.Event) -> Callable[[Progress], None]:
    """Work that reports a thousand times a second, for a hundred seconds."""

    def work(report: Progress) -> None:
        for step in range(100_000):
            report(step, 100_000)
            begun.set()
            time.sleep(0.001)

    return work


def test_the_same_question_is_asked_once(board: Board) -> None:
    asked: list[str] = []
    results = [ask(board, "a", lambda report: asked.append("a") or 7).future.result(10) for _ in range(3)]
    assert results == [7, 7, 7] and asked == ["a"]


def test_a_forgotten_question_is_asked_anew(board: Board) -> None:
    first = ask(board, "a", lambda report: object()).future.result(10)
    board.forget("a")
    assert ask(board, "a", lambda report: object()).future.result(10) is not first


@pytest.mark.parametrize("lasting", [False, True])
def test_a_cancelled_job_stops_at_its_next_report(board: Board, lasting: bool) -> None:
    begun = threading.Event()
    job = ask(board, "a", count(begun), lasting)
    assert begun.wait(10) and job in board.running()
    job.cancel.set()
    with pytest.raises(Cancelled, match="nothing was stored"):
        job.future.result(10)
    assert board.running() == []


def test_work_that_nobody_waits_for_stops_and_is_begun_anew_for_the_next_reader(board: Board) -> None:
    begun = threading.Event()
    job = ask(board, "a", count(begun))
    assert begun.wait(10)
    job.looked -= ABANDONED + 1
    with pytest.raises(Cancelled):
        job.future.result(10)
    assert board.find("a") is None
    assert ask(board, "a", lambda report: 7).future.result(10) == 7


def test_work_that_a_reader_started_by_hand_goes_on_without_a_page(board: Board) -> None:
    reports: list[int] = []

    def work(report: Progress) -> int:
        for step in range(5):
            report(step, 5)
            reports.append(step)
        return 7

    job = Job("a", "counting of toy", work, lasting=True)
    job.looked -= ABANDONED + 1
    assert job.run() == 7 and reports == list(range(5))
    with pytest.raises(Cancelled):
        other = Job("a", "counting of toy", work)
        other.looked -= ABANDONED + 1
        other.run()


def test_work_stops_once_its_last_reader_leaves(board: Board) -> None:
    begun = threading.Event()
    job = ask(board, "a", count(begun))
    job.readers |= {"one", "two"}
    assert begun.wait(10)
    board.leave("one", ["a", "unknown"])
    assert not job.cancel.is_set()
    board.leave("two", ["a"])
    with pytest.raises(Cancelled):
        job.future.result(10)


def test_two_long_jobs_do_not_keep_a_page_waiting(board: Board) -> None:
    begun = [threading.Event(), threading.Event()]
    long = [ask(board, f"long {i}", count(event), lasting=True) for i, event in enumerate(begun)]
    assert all(event.wait(10) for event in begun)
    assert ask(board, "short", lambda report: 7).future.result(10) == 7
    for job in long:
        job.cancel.set()


def test_waiting_counts_as_looking(board: Board) -> None:
    begun, gate = threading.Event(), threading.Event()

    def work(report: Progress) -> int:
        begun.set()
        gate.wait(20)
        report(1, 2)
        return 7

    job = ask(board, "a", work)
    assert begun.wait(10)
    job.looked -= ABANDONED + 1
    assert not job.ends_within(0.05)
    gate.set()
    assert job.ends_within(10) and job.future.result() == 7


def test_an_error_of_the_work_that_is_a_timeout_is_an_error(board: Board) -> None:
    def work(report: Progress) -> None:
        raise TimeoutError("the disk does not answer")

    job = ask(board, "a", work)
    assert job.ends_within(10)
    with pytest.raises(TimeoutError, match="the disk"):
        job.future.result()


def test_old_jobs_are_forgotten_and_running_ones_are_not(board: Board) -> None:
    gate = threading.Event()
    slow = ask(board, "slow", lambda report: gate.wait(20))
    for number in range(KEPT + 20):
        ask(board, str(number)).future.result(10)
    assert len(board.jobs) <= KEPT + 2 and board.find("slow") is slow
    gate.set()


def test_large_results_are_forgotten_sooner(board: Board) -> None:
    half = np.zeros(ROOM // 2 + 1, dtype=np.uint8)
    for number in range(4):
        ask(board, str(number), lambda report: [half]).future.result(10)
    ask(board, "last").future.result(10)
    assert board.find("3") is not None and board.find("0") is None
    assert weight([half, {"a": half}, "text", 3]) == 2 * half.nbytes


def test_progress_says_how_far_and_how_long() -> None:
    job = Job("a", "counting of toy", lambda report: None)
    assert "starting" in job.text and job.share == 0.0
    job.report(25, 100)
    job.started -= 10.0
    assert job.share == 0.25 and "counting of toy: 25 of 100, about 30 s left" in job.text


def test_a_job_that_failed_says_so_to_whoever_waits(board: Board) -> None:
    def fail(report: Progress) -> None:
        raise ValueError("no such unit")

    with pytest.raises(ValueError, match="no such unit"):
        ask(board, "a", fail).future.result(10)


def test_a_server_that_ends_does_not_wait_for_its_jobs() -> None:
    script = (
        "import threading, time\n"
        "from app.state.jobs import Board\n"
        "begun = threading.Event()\n"
        "def work(report):\n"
        "    while True:\n"
        "        report(1, 2)\n"
        "        begun.set()\n"
        "        time.sleep(0.01)\n"
        "board = Board()\n"
        "for key in 'abcd':\n"
        "    board.ask(key, key, work, lasting=True)\n"
        "begun.wait()\n"
    )
    assert subprocess.run([sys.executable, "-c", script], timeout=100, check=False).returncode == 0
