"""What every process is computing and has computed: one SQLite file that all of them read and write."""

import json
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.checkpoints.atomic import explained, locked, room
from workbench.checkpoints.card import SLUG
from workbench.core.errors import Cancelled, CheckpointError, InputError, UnknownNameError

if TYPE_CHECKING:
    import pandas as pd

PATIENCE = 60.0
"""Seconds to wait while another process writes."""
PAUSE = 0.2
"""Seconds between two reports of progress that reach the disk."""
TABLES = """
CREATE TABLE IF NOT EXISTS results (
    key TEXT PRIMARY KEY, result TEXT NOT NULL, bytes INTEGER NOT NULL, sha256 TEXT NOT NULL,
    spec TEXT NOT NULL, provenance TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS runs (
    key TEXT PRIMARY KEY, status TEXT NOT NULL, spec TEXT NOT NULL, pid INTEGER NOT NULL, process TEXT NOT NULL,
    started REAL NOT NULL, updated REAL NOT NULL, done INTEGER NOT NULL DEFAULT 0, total INTEGER NOT NULL DEFAULT 0,
    error TEXT NOT NULL DEFAULT '');
"""


def runs_folder() -> Path:
    """Where results lie: $WORKBENCH_RUNS, else the user's data folder."""
    if chosen := os.environ.get("WORKBENCH_RUNS"):
        return Path(chosen)
    from platformdirs import user_data_path

    return user_data_path("workbench", appauthor=False) / "runs"


@dataclass(frozen=True)
class RunLog:
    """How far each run is, by key: queued, running, done, failed, cancelled or interrupted.

    Any number of processes may use one folder at the same time.
    """

    folder: Path = field(default_factory=runs_folder)
    reported: dict[str, float] = field(default_factory=dict, init=False, repr=False, compare=False)

    def queue(self, key: str, spec: Mapping[str, Any]) -> None:
        """Announces a run that this process will start."""
        self.announce(key, spec, "queued")

    def start(self, key: str, spec: Mapping[str, Any]) -> None:
        """Announces a run that this process has started."""
        self.announce(key, spec, "running")

    def announce(self, key: str, spec: Mapping[str, Any], status: str) -> None:
        """Enters a run of this process, in place of an older one with the same key."""
        require_slug(key)
        now, pid = time.time(), os.getpid()
        facts = (key, status, json.dumps(dict(spec)), pid, process_mark(pid), now, now)
        with self.changing() as database:
            database.execute(
                "INSERT OR REPLACE INTO runs (key, status, spec, pid, process, started, updated) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                facts,
            )
        self.reported.pop(key, None)

    def progress(self, key: str, done: int, total: int) -> None:
        """Reports how far a run is, at most every `PAUSE` seconds; raises Cancelled once somebody called `cancel`."""
        now = time.monotonic()
        if now - self.reported.get(key, -PAUSE) < PAUSE and done < total:
            return
        self.reported[key] = now
        with self.changing() as database:
            database.execute(
                "UPDATE runs SET done = ?, total = ?, updated = ? WHERE key = ? AND status = 'running'",
                (done, total, time.time(), key),
            )
            row = database.execute("SELECT status FROM runs WHERE key = ?", (key,)).fetchone()
        if row is not None and row[0] == "cancelled":
            raise Cancelled(f"The run {key} was cancelled after {done} of {total} steps; nothing of it was stored.")

    def finish(self, key: str) -> None:
        """Marks a run as done."""
        self.settle(key, "done")

    def fail(self, key: str, error: str) -> None:
        """Marks a run as failed, with what went wrong."""
        self.settle(key, "failed", error)

    def cancel(self, key: str) -> None:
        """Asks a run of any process to stop; it does at its next report of progress."""
        self.settle(key, "cancelled")

    def settle(self, key: str, status: str, error: str = "") -> None:
        """Writes how a run ended; one that is over already stays as it is."""
        with self.changing() as database:
            database.execute(
                "UPDATE runs SET status = ?, error = ?, updated = ? WHERE key = ? AND status IN ('queued', 'running')",
                (status, error, time.time(), key),
            )
            known = [k for (k,) in database.execute("SELECT key FROM runs")]
        if key not in known:
            raise UnknownNameError("run", key, known, where=f" in {self.folder}")

    def runs(self) -> "pd.DataFrame":
        """One row per run, newest first; a run whose process is gone before its end is `interrupted`."""
        import pandas as pd

        columns = ["key", "status", "pid", "started", "updated", "done", "total", "error", "process", "spec"]
        with self.looking() as database:
            rows = database.execute(f"SELECT {', '.join(columns)} FROM runs ORDER BY started DESC").fetchall()
        table = pd.DataFrame(rows, columns=columns)
        gone = [
            status in ("queued", "running") and not alive(pid, mark)
            for status, pid, mark in zip(table["status"], table["pid"], table["process"], strict=True)
        ]
        table.loc[gone, "status"] = "interrupted"
        table["spec"] = [json.loads(spec) for spec in table["spec"]]
        for column in ("started", "updated"):
            table[column] = pd.to_datetime(table[column], unit="s", utc=True)
        return table.drop(columns="process")

    @contextmanager
    def looking(self) -> Iterator[sqlite3.Connection]:
        """The catalog, open for reading."""
        with refusals_explained(self.folder):
            path = self.folder / "catalog.sqlite"
            if not path.is_file():
                create_catalog(path)
            # SQLite's log needs a folder it can write; without one, nobody else can be writing either.
            address = path.absolute().as_uri() + ("" if os.access(self.folder, os.W_OK) else "?immutable=1")
            connection = sqlite3.connect(address, timeout=PATIENCE, isolation_level=None, uri=True)
            with closing(connection) as database:
                yield database

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """The catalog to oneself: all changes inside the block are kept together, or none when it raises."""
        with self.looking() as database:
            database.execute("BEGIN IMMEDIATE")
            try:
                yield database
                database.execute("COMMIT")
            except BaseException:
                if database.in_transaction:
                    database.execute("ROLLBACK")
                raise


def require_slug(key: str) -> None:
    """Raises unless `key` is a name that stays inside its folder."""
    if not SLUG.fullmatch(key):
        raise InputError(f"{key!r} cannot be the key of a result: keys are letters, digits, '_', '-' and '.'.")


def create_catalog(path: Path) -> None:
    """An empty catalog at `path`, unless another process was quicker; nobody ever sees one half-made."""
    with explained(path, 0):
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path.parent):
            if path.is_file():
                return
            temporary = path.with_name(f".{path.name}.tmp")
            temporary.unlink(missing_ok=True)
            with closing(sqlite3.connect(temporary)) as database:
                database.execute("PRAGMA journal_mode = WAL")
                database.executescript(TABLES)
            temporary.replace(path)


@contextmanager
def refusals_explained(folder: Path) -> Iterator[None]:
    """Turns SQLite's refusals into one clear error."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise CheckpointError(
            f"The catalog of results in {folder} cannot be used: {error} ({room(folder)}). Free some room, make the "
            "folder writable, or choose another one with the environment variable WORKBENCH_RUNS."
        ) from error
    except sqlite3.DatabaseError as error:
        raise CheckpointError(
            f"The catalog of results in {folder} is damaged: {error}. Move catalog.sqlite away and run again."
        ) from error


def alive(pid: int, mark: str) -> bool:
    """Whether the process that was `pid` when it left its mark still runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return process_mark(pid) == mark


def process_mark(pid: int) -> str:
    """What tells a process from a later one with the same number: when it started; "" where that is not to be had."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    state, *rest = text.rpartition(")")[2].split()
    return "" if state == "Z" else rest[18]
