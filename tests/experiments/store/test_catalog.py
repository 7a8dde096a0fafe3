"""Tests of the SQLite catalog: versions, and the files beside it."""

import json
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
from workbench.experiments.store import catalog
from workbench.experiments.store.processes import this_process
from workbench.experiments.store.results import ResultStore
from workbench.experiments.store.upkeep import check, repair

VERSION_0 = """
CREATE TABLE results (
    key TEXT PRIMARY KEY, result TEXT NOT NULL, bytes INTEGER NOT NULL, sha256 TEXT NOT NULL,
    spec TEXT NOT NULL, provenance TEXT NOT NULL);
CREATE TABLE runs (
    key TEXT PRIMARY KEY, status TEXT NOT NULL, spec TEXT NOT NULL, pid INTEGER NOT NULL, process TEXT NOT NULL,
    started REAL NOT NULL, updated REAL NOT NULL, done INTEGER NOT NULL DEFAULT 0, total INTEGER NOT NULL DEFAULT 0,
    error TEXT NOT NULL DEFAULT '');
"""
SPEC = {"model": "digits_mlp", "analysis": "ablation", "parameters": {}, "seed": 0}


@dataclass(frozen=True)
class Effect:
    """A result."""

    effect: Float[Tensor, " unit"]


CLASSES = {"Effect": Effect}


@pytest.fixture
def old(tmp_path: Path) -> ResultStore:
    """A store as the workbench wrote it before its catalog had a version, with a result and two runs."""
    store = ResultStore(tmp_path / "runs", classes=CLASSES)
    store.put("abc", Effect(torch.arange(3.0)), SPEC, {"time": "2026-01-01"})
    with store.open_to_read() as database:
        result = database.execute("SELECT key, result, bytes, sha256, spec, provenance FROM results").fetchone()
    (store.folder / catalog.NAME).unlink()
    hundredths = round(100 * this_process().born)
    runs = [("mine", os.getpid(), str(hundredths)), ("lost", os.getpid(), str(hundredths - 500))]
    with closing(sqlite3.connect(store.folder / catalog.NAME)) as database, database:
        database.execute("PRAGMA journal_mode = WAL")
        database.executescript(VERSION_0)
        database.execute("INSERT INTO results VALUES (?, ?, ?, ?, ?, ?)", result)
        for key, pid, mark in runs:
            row = (key, "running", json.dumps(SPEC), pid, mark, 1.0, 2.0, 3, 4, "")
            database.execute("INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    return store


def test_a_catalog_of_an_older_version_keeps_its_results_and_runs(old: ResultStore) -> None:
    assert torch.equal(old.get("abc").effect, torch.arange(3.0))
    assert old.entries()[0].facts == {} and old.catalog()["model"].tolist() == ["digits_mlp"]
    table = old.runs().set_index("key")
    assert table["status"].to_dict() == {"mine": "running", "lost": "interrupted"}
    assert table.loc["mine", ["done", "total"]].tolist() == [3, 4]
    with old.open_to_read() as database:
        assert database.execute("PRAGMA user_version").fetchone() == (catalog.VERSION,)


def test_an_older_catalog_that_cannot_be_written_is_read_as_it_is(
    old: ResultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (old.folder / catalog.NAME).read_bytes()
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert old.has("abc") and set(old.runs()["key"]) == {"mine", "lost"}
    assert (old.folder / catalog.NAME).read_bytes() == before


def test_a_catalog_of_a_newer_version_is_refused_in_one_sentence(tmp_path: Path) -> None:
    store = ResultStore(tmp_path, classes=CLASSES)
    with store.open_to_write() as database:
        database.execute(f"PRAGMA user_version = {catalog.VERSION + 1}")
    with pytest.raises(CheckpointError, match=f"has version {catalog.VERSION + 1}.*Install a newer workbench"):
        store.runs()


def test_an_empty_file_becomes_a_catalog(tmp_path: Path) -> None:
    (tmp_path / catalog.NAME).touch()
    assert len(ResultStore(tmp_path, classes=CLASSES).runs()) == 0


STORE_AND_DIE = """
import os, signal, sqlite3, sys
from workbench.experiments.store import catalog
from workbench.experiments.store.run_log import RunLog

log = RunLog(__import__("pathlib").Path(sys.argv[1]))
holder = sqlite3.connect(log.folder / catalog.NAME)
holder.execute("SELECT * FROM runs").fetchone()  # another reader, so that nothing is put in its place at the end
for i in range(40):
    log.start(f"killed{i}", {"model": "x" * 2000})
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_log_of_a_catalog_that_was_moved_away_does_not_reach_the_new_one(tmp_path: Path) -> None:
    store = ResultStore(tmp_path / "runs", classes=CLASSES)
    store.put("before", Effect(torch.ones(2)), SPEC, {})
    dead = subprocess.run([sys.executable, "-c", STORE_AND_DIE, str(store.folder)], check=False)
    path = store.folder / catalog.NAME
    log = path.with_name(f"{path.name}-wal").read_bytes()
    assert dead.returncode == -signal.SIGKILL and len(log) > 0
    path.rename(tmp_path / "moved.sqlite")
    store.put("after", Effect(torch.zeros(2)), SPEC, {})
    assert [stored.key for stored in store.entries()] == ["after"] and len(store.runs()) == 0
    with store.open_to_read() as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    kept = [left.read_bytes() for left in store.folder.glob("catalog.sqlite-wal.*.orphan")]
    assert kept == [log], "what it holds may be wanted with the catalog that was moved"


def test_an_altered_row_of_results_is_noticed_and_repaired_from_the_file(tmp_path: Path) -> None:
    store = ResultStore(tmp_path / "runs", classes=CLASSES)
    store.put("abc", Effect(torch.arange(3.0)), SPEC, {"time": "2026-01-01"})
    with store.open_to_write() as database:
        database.execute("UPDATE results SET provenance = replace(provenance, '2026', '2027')")
    with pytest.raises(CheckpointError, match="altered in the row of abc.*workbench store repair"):
        store.catalog()
    assert [finding.kind for finding in check(store)] == ["lost result"]
    repair(store)
    assert check(store) == [] and store.entries()[0].provenance == {"time": "2026-01-01"}
