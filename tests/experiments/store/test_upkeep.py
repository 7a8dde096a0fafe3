"""Tests of checking, repairing and cleaning a damaged folder of results."""

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from workbench.core.errors import CheckpointError
from workbench.core.tensor_file import sha256
from workbench.experiments.store import catalog
from workbench.experiments.store.processes import Process
from workbench.experiments.store.results import ResultStore
from workbench.experiments.store.upkeep import CLEANED, Finding, check, clean, repair, size_of


@dataclass(frozen=True)
class Effect:
    """A result."""

    effect: Float[Tensor, " unit"]


GONE = 2**22 + 1
"""A number that no process has."""


def spec(hook: str = "a") -> dict[str, object]:
    return {"model": "digits", "analysis": "ablation", "parameters": {"hook": hook}}


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    """A store of three results, "a" to "c", with nothing to complain of."""
    made = ResultStore(tmp_path / "runs", classes={"Effect": Effect})
    for value, key in enumerate("abc"):
        made.start(key, spec(key))
        made.put(key, Effect(torch.full((1000,), float(value))), spec(key), {"time": "now"}, {"fact": key})
    assert check(made) == []
    return made


def kinds(store: ResultStore) -> dict[str, str]:
    return {finding.name: finding.kind for finding in check(store)}


def value(store: ResultStore, key: str) -> float:
    return float(store.get(key).effect[0])


def test_a_lost_or_altered_file_is_found_and_its_row_removed(store: ResultStore) -> None:
    store.path("a").unlink()
    store.path("b").write_bytes(store.path("b").read_bytes()[:-1])
    assert kinds(store) == {"results/a.safetensors": "lost result", "results/b.safetensors": "lost result"}
    assert len(repair(store)) == 2
    assert [stored.key for stored in store.entries()] == ["c"]
    assert kinds(store) == {"results/b.safetensors": "broken file"}
    clean(store, check(store))
    assert check(store) == [] and not store.path("b").exists() and value(store, "c") == 2


def test_a_whole_file_that_no_row_lists_is_listed_again_with_all_that_was_known(store: ResultStore) -> None:
    before = {stored.key: stored for stored in store.entries()}
    with store.open_to_write() as database:
        database.execute("DELETE FROM results WHERE key = 'b'")
    assert kinds(store) == {"results/b.safetensors": "unlisted result"}
    repair(store)
    assert check(store) == [] and value(store, "b") == 1
    assert {stored.key: stored for stored in store.entries()} == before


def test_a_file_under_another_name_or_with_a_changed_header_is_not_listed(store: ResultStore) -> None:
    content = store.path("a").read_bytes()
    store.path("copy").write_bytes(content)
    store.path("d").write_bytes(content.replace(b'\\"hook\\": \\"a\\"', b'\\"hook\\": \\"z\\"'))
    assert store.path("d").read_bytes() != content
    assert kinds(store) == {"results/copy.safetensors": "broken file", "results/d.safetensors": "broken file"}
    assert repair(store) == []


@pytest.mark.parametrize("damage", ["no database", "cut", "page"])
def test_a_damaged_catalog_is_moved_away_and_made_again_from_the_files(store: ResultStore, damage: str) -> None:
    path = store.folder / catalog.NAME
    content = bytearray(path.read_bytes())
    if damage == "page":
        content[4096:] = os.urandom(len(content) - 4096)
    path.write_bytes({"no database": b"x" * 9000, "cut": bytes(content[:5000]), "page": bytes(content)}[damage])
    assert kinds(store)[catalog.NAME] == "damaged catalog"
    repair(store)
    assert {stored.key for stored in store.entries()} == set("abc") and value(store, "b") == 1
    (moved,) = store.folder.glob("damaged-catalog-*")
    assert kinds(store) == {moved.name: "old catalog"}
    clean(store, check(store))
    assert check(store) == [] and not moved.exists()


@pytest.mark.parametrize("change", ["DROP TABLE runs", "DROP TABLE results", "ALTER TABLE runs DROP COLUMN error"])
def test_a_catalog_without_a_table_or_column_is_moved_away_too(store: ResultStore, change: str) -> None:
    with closing(sqlite3.connect(store.folder / catalog.NAME)) as database:
        database.execute(change)
        database.commit()
    with (
        pytest.raises(CheckpointError, match="is damaged: no such .*workbench store repair"),
        store.open_to_read() as opened,
    ):
        opened.execute("SELECT r.key, u.error FROM results AS r, runs AS u").fetchall()
    assert kinds(store)[catalog.NAME] == "damaged catalog"
    repair(store)
    assert value(store, "b") == 1 and set(kinds(store).values()) == {"old catalog"}


def test_a_file_of_another_result_under_a_row_that_was_altered_ends_with_clean(store: ResultStore) -> None:
    content = store.path("a").read_bytes()
    store.path("b").write_bytes(content)
    with closing(sqlite3.connect(store.folder / catalog.NAME)) as database:
        row = (sha256(content), len(content))
        database.execute("UPDATE results SET sha256 = ?, bytes = ? WHERE key = 'b'", row)
        database.commit()
    assert kinds(store) == {"results/b.safetensors": "lost result"}
    assert len(repair(store)) == 1 and repair(store) == []
    assert kinds(store) == {"results/b.safetensors": "broken file"}
    clean(store, check(store))
    assert check(store) == [] and not store.has("b")


def test_without_a_catalog_nothing_is_made_by_looking(store: ResultStore) -> None:
    (store.folder / catalog.NAME).unlink()
    assert set(kinds(store).values()) == {"unlisted result"} and not (store.folder / catalog.NAME).exists()
    repair(store)
    assert check(store) == [] and len(store.entries()) == 3


def test_leftovers_of_processes_that_are_gone_are_deleted_and_others_are_not(store: ResultStore) -> None:
    results = store.folder / "results"
    dead, living = (results / f".x.safetensors.{pid}-0123abcd.tmp" for pid in (GONE, os.getpid()))
    log, search = store.folder / "catalog.sqlite-wal.0123.orphan", store.folder / "searches" / "old.db-journal"
    search.parent.mkdir()
    for path in (dead, living, log, search, search.parent / "kept.db", search.parent / "kept.db-journal"):
        path.write_bytes(bytes(1000))
    store.start("gone", spec())
    store.start("here", spec())
    with store.open_to_write() as database:
        database.execute("UPDATE runs SET pid = ? WHERE key = 'gone'", (GONE,))
    found = check(store)
    names = [dead, log, search]
    assert {f.name for f in found} == {str(path.relative_to(store.folder)) for path in names} | {"gone"}
    assert all(f.remedy == "clean" for f in found)
    assert clean(store, found) >= 3000
    assert check(store) == [] and living.exists() and (search.parent / "kept.db-journal").exists()
    assert set(store.runs()["key"]) == {"a", "b", "c", "here"}


def test_only_what_was_listed_is_deleted_and_only_while_it_still_is_what_it_was(store: ResultStore) -> None:
    findings = [
        Finding("unlisted result", "results/a.safetensors"),  # it is listed by now
        Finding("ended run", "b", owner=Process(os.getpid(), 0.0)),  # it has another owner by now
    ]
    with store.open_to_write() as database:
        database.execute("DELETE FROM results WHERE key = 'c'")
    clean(store, findings)
    assert value(store, "a") == 0 and store.path("c").exists() and set(store.runs()["key"]) == set("abc")


def test_answers_that_newer_ones_have_replaced_can_be_given_back(store: ResultStore) -> None:
    store.put("newer", Effect(torch.zeros(3)), spec("a"), {}, {"fact": "other code"})
    assert check(store) == []
    found = check(store, superseded=True)
    assert [(f.kind, f.name) for f in found] == [("superseded result", "results/a.safetensors")]
    before = size_of(store.folder / "results")
    assert clean(store, found) > 4000
    assert size_of(store.folder / "results") == before - found[0].bytes
    assert {stored.key for stored in store.entries()} == {"b", "c", "newer"}


KILLED = """
import os, signal, sqlite3, sys
from pathlib import Path
from workbench.experiments.store import catalog
from workbench.experiments.store.run_log import RunLog

log = RunLog(Path(sys.argv[1]))
holder = sqlite3.connect(log.folder / catalog.NAME)
holder.execute("SELECT * FROM runs").fetchone()
log.start("killed", {"model": "digits"})
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_had_committed_stays_and_the_log_is_no_orphan(store: ResultStore) -> None:
    dead = subprocess.run([sys.executable, "-c", KILLED, str(store.folder)], check=False)
    assert dead.returncode == -signal.SIGKILL
    assert (store.folder / f"{catalog.NAME}-wal").stat().st_size > 0
    assert kinds(store) == {"killed": "ended run"} and {s.key for s in store.entries()} == set("abc")
    clean(store, check(store))
    assert check(store) == []


def test_a_log_left_by_a_catalog_that_was_moved_is_found_before_anything_else_is_done(store: ResultStore) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(store.folder)], check=False)
    (store.folder / catalog.NAME).rename(store.folder.parent / "moved.sqlite")
    assert kinds(store) == {f"catalog.sqlite{end}": "orphaned log" for end in ("-wal", "-shm")} | {
        f"results/{key}.safetensors": "unlisted result" for key in "abc"
    }
    repair(store)
    assert {s.key for s in store.entries()} == set("abc") and len(store.runs()) == 0
    with closing(sqlite3.connect(store.folder / catalog.NAME)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert set(kinds(store).values()) == {"orphaned log"}
    clean(store, [f for f in check(store) if f.kind in CLEANED])
    assert check(store) == []
