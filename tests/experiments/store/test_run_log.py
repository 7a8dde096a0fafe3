"""Tests of the run log: states of a run, progress, cancellation and several processes."""

import multiprocessing
import os
import sqlite3
import time
from collections.abc import Iterator
from multiprocessing.process import BaseProcess as Process
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from workbench.core.errors import Cancelled, CheckpointError, InputError, UnknownNameError
from workbench.experiments.store import processes, run_log
from workbench.experiments.store.run_log import RunLog

SPEC = {"model": "digits_mlp", "analysis": "ablation", "seed": 0}


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunLog:
    monkeypatch.setattr(run_log, "PAUSE", 0.0)
    return RunLog(tmp_path / "runs")


def status(log: RunLog, key: str) -> str:
    return log.runs().set_index("key").loc[key, "status"]


def test_without_runs_the_table_is_empty_and_has_its_columns(log: RunLog) -> None:
    table = log.runs()
    assert len(table) == 0 and {"key", "status", "spec", "done", "total", "error"} <= set(table.columns)


def test_a_run_goes_from_queued_to_done(log: RunLog) -> None:
    log.queue("a", SPEC)
    assert status(log, "a") == "queued"
    log.start("a", SPEC)
    log.progress("a", 3, 10)
    row = RunLog(log.folder).runs().iloc[0]
    assert (row.status, row.done, row.total, row.pid, row.spec) == ("running", 3, 10, os.getpid(), SPEC)
    log.finish("a")
    assert status(log, "a") == "done"


def test_a_failed_run_says_why_and_may_start_again(log: RunLog) -> None:
    log.start("a", SPEC)
    log.fail("a", "No hook named 'x'")
    assert log.runs().iloc[0][["status", "error"]].tolist() == ["failed", "No hook named 'x'"]
    log.start("a", SPEC)
    assert log.runs().iloc[0][["status", "error"]].tolist() == ["running", ""]


def test_another_process_cancels_a_run_at_its_next_step(log: RunLog) -> None:
    log.start("a", SPEC)
    log.progress("a", 1, 10)
    RunLog(log.folder).cancel("a")
    with pytest.raises(Cancelled, match="2 of 10"):
        log.progress("a", 2, 10)
    assert status(log, "a") == "cancelled"


def test_a_run_that_is_over_stays_as_it_is(log: RunLog) -> None:
    log.start("a", SPEC)
    log.finish("a")
    log.cancel("a")
    assert status(log, "a") == "done"


def test_progress_reaches_the_disk_now_and_then_and_at_the_end(log: RunLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_log, "PAUSE", 60.0)
    log.start("a", SPEC)
    for done in range(1, 100):
        log.progress("a", done, 100)
    assert log.runs().iloc[0].done == 1
    log.progress("a", 100, 100)
    assert log.runs().iloc[0].done == 100


def announce_and_leave(folder: Path) -> None:
    RunLog(folder).start("a", SPEC)
    os._exit(1)


def test_a_run_whose_process_is_gone_is_interrupted(log: RunLog) -> None:
    child = multiprocessing.get_context("fork").Process(target=announce_and_leave, args=(log.folder,))
    child.start()
    deadline = time.monotonic() + 300
    while len(log.runs()) == 0 or status(log, "a") == "running":  # as a zombie, too
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert status(log, "a") == "interrupted"
    child.join()
    assert status(log, "a") == "interrupted"


def test_a_later_process_with_the_same_number_is_not_taken_for_the_run(
    log: RunLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.start("a", SPEC)
    started = processes.start_of(os.getpid())
    monkeypatch.setattr(processes, "start_of", lambda pid: started + 1)
    assert status(log, "a") == "interrupted"


def run_until_told(folder: Path, key: str, begun: Event, stop: Event) -> None:
    log = RunLog(folder)
    log.start(key, SPEC)
    begun.set()
    while not stop.wait(0.01):
        log.progress(key, 1, 2)
    log.finish(key)


@pytest.fixture
def other(log: RunLog) -> Iterator[tuple[Process, Event]]:
    """Another process that runs "a", and the event that lets it finish."""
    context = multiprocessing.get_context("fork")
    begun, stop = context.Event(), context.Event()
    process = context.Process(target=run_until_told, args=(log.folder, "a", begun, stop))
    process.start()
    assert begun.wait(20)
    yield process, stop
    stop.set()
    process.join()


def test_who_stops_leaves_the_same_question_to_other_processes(log: RunLog, other: tuple[Process, Event]) -> None:
    process, stop = other
    log.start("a", SPEC)
    log.withdraw("a")
    log.fail("a", "too late, it is over")
    table = log.runs().set_index("pid")
    assert table["status"].to_dict() == {os.getpid(): "cancelled", process.pid: "running"}
    stop.set()
    process.join()
    assert process.exitcode == 0
    assert log.runs().set_index("pid").loc[process.pid, "status"] == "done"


def test_of_two_processes_the_one_that_is_named_is_cancelled(log: RunLog, other: tuple[Process, Event]) -> None:
    process, _ = other
    log.start("a", SPEC)
    with pytest.raises(InputError, match=f"is run by the processes .*{process.pid}"):
        log.cancel("a")
    with pytest.raises(InputError, match="not 1. Name one of them"):
        log.cancel("a", pid=1)
    log.cancel("a", process.pid)
    process.join()
    assert process.exitcode == 1
    log.progress("a", 1, 2)
    assert log.runs().set_index("pid")["status"].to_dict() == {os.getpid(): "running", process.pid: "cancelled"}


def test_a_new_run_takes_the_place_of_those_that_are_over(log: RunLog, other: tuple[Process, Event]) -> None:
    process, stop = other
    stop.set()
    process.join()
    log.start("a", SPEC)
    assert log.runs()["pid"].tolist() == [os.getpid()]


def announce_many(folder: Path, name: str, count: int) -> None:
    log = RunLog(folder)
    for i in range(count):
        log.start(f"{name}{i}", SPEC)
        log.progress(f"{name}{i}", 1, 1)


def test_no_run_is_lost_when_several_processes_announce_theirs_in_a_new_folder(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=announce_many, args=(tmp_path / "new", name, 8)) for name in "abcd"]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert len(RunLog(tmp_path / "new").runs()) == 32


def test_an_unknown_run_is_an_error_that_offers_the_nearest(log: RunLog) -> None:
    log.start("abc123", SPEC)
    with pytest.raises(UnknownNameError, match="Did you mean 'abc123'"):
        log.cancel("abc124")


@pytest.mark.parametrize("key", ["../a", "a/b", "", ".", "a b"])
def test_a_key_stays_inside_the_folder(log: RunLog, key: str) -> None:
    with pytest.raises(InputError, match="cannot be the key"):
        log.start(key, SPEC)


def test_a_damaged_catalog_is_one_clear_error(log: RunLog) -> None:
    log.folder.mkdir()
    (log.folder / "catalog.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(CheckpointError, match=r"is damaged.*`workbench store repair` moves it away"):
        log.start("a", SPEC)


def test_a_refused_write_is_one_clear_error(log: RunLog) -> None:
    log.start("a", SPEC)
    with (
        pytest.raises(CheckpointError, match=r"cannot be used: database or disk is full.*WORKBENCH_RUNS"),
        log.open_to_read(),
    ):
        raise sqlite3.OperationalError("database or disk is full")


def test_the_folder_of_runs_is_the_one_the_environment_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_RUNS", str(tmp_path))
    assert RunLog().folder == tmp_path
    monkeypatch.delenv("WORKBENCH_RUNS")
    assert RunLog().folder.name == "runs" and "workbench" in RunLog().folder.parts
