"""Log of running and finished work: one row for each question and process."""

import json
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.checkpoints.card import SLUG
from workbench.core.errors import Cancelled, InputError, UnknownNameError
from workbench.core.progress import Progress, silent
from workbench.experiments.store import catalog
from workbench.experiments.store.processes import Process, this_process

if TYPE_CHECKING:
    import pandas as pd

PAUSE = 0.2
"""Seconds between two reports of progress that are written to disk."""
MINE = "key = ? AND pid = ? AND born = ?"
ACTIVE = "status IN ('queued', 'running')"


def runs_folder() -> Path:
    """Return the folder of results: $WORKBENCH_RUNS, else the user's data folder."""
    if chosen := os.environ.get("WORKBENCH_RUNS"):
        return Path(chosen)
    from platformdirs import user_data_path

    return user_data_path("workbench", appauthor=False) / "runs"


@dataclass(frozen=True)
class RunLog:
    """Status of each run by key: queued, running, done, failed, cancelled or interrupted.

    Any number of processes may use one folder at the same time. A process changes its own runs alone; `cancel` is the
    one way to ask another's to stop.
    """

    folder: Path = field(default_factory=runs_folder)
    reported: dict[str, float] = field(default_factory=dict, init=False, repr=False, compare=False)

    def queue(self, key: str, spec: Mapping[str, Any]) -> None:
        """Announce a run that this process will start."""
        self.announce(key, spec, "queued")

    def start(self, key: str, spec: Mapping[str, Any]) -> None:
        """Announce a run that this process has started."""
        self.announce(key, spec, "running")

    def announce(self, key: str, spec: Mapping[str, Any], status: str) -> None:
        """Enter a run of this process, in place of older ones with the same key that are over."""
        require_slug(key)
        now = time.time()
        with self.open_to_write() as database:
            drop_ended(key, database)
            database.execute(
                "INSERT OR REPLACE INTO runs (key, pid, born, status, spec, started, updated) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (key, *this_process(), status, json.dumps(dict(spec)), now, now),
            )
        self.reported.pop(key, None)

    def progress(self, key: str, done: int, total: int) -> None:
        """Report how far this process's run is, at most every `PAUSE` seconds.

        Raises:
            Cancelled: If `cancel` was called for it.
        """
        now = time.monotonic()
        if now - self.reported.get(key, -PAUSE) < PAUSE and done < total:
            return
        self.reported[key] = now
        mine = (key, *this_process())
        with self.open_to_write() as database:
            database.execute(
                f"UPDATE runs SET done = ?, total = ?, updated = ? WHERE {MINE} AND status = 'running'",
                (done, total, time.time(), *mine),
            )
            row = database.execute(f"SELECT status FROM runs WHERE {MINE}", mine).fetchone()
        if row is not None and row[0] == "cancelled":
            raise Cancelled(f"The run {key} was cancelled after {done} of {total} steps; nothing of it was stored.")

    def finish(self, key: str) -> None:
        """Mark this process's run as done, if it has one."""
        self.settle(key, "done")

    def fail(self, key: str, error: str) -> None:
        """Mark this process's run as failed, with the error."""
        self.settle(key, "failed", error)

    def withdraw(self, key: str) -> None:
        """Mark this process's run as cancelled; other processes' runs of the same question continue."""
        self.settle(key, "cancelled")

    @contextmanager
    def record(self, key: str, spec: Mapping[str, Any], progress: Progress = silent) -> Iterator[Progress]:
        """Enter work while the block lasts, and yield the progress callback, by which it may be cancelled.

        The end of the block (done, failed, cancelled) is recorded; its errors are raised.
        """

        def report(done: int, total: int) -> None:
            progress(done, total)
            self.progress(key, done, total)

        self.start(key, spec)
        try:
            yield report
        except (Cancelled, KeyboardInterrupt):
            self.withdraw(key)
            raise
        except BaseException as error:
            self.fail(key, str(error) or type(error).__name__)
            raise
        self.finish(key)

    def settle(self, key: str, status: str, error: str = "") -> None:
        """Record the end of this process's run; a finished one stays as it is."""
        with self.open_to_write() as database:
            database.execute(
                f"UPDATE runs SET status = ?, error = ?, updated = ? WHERE {MINE} AND {ACTIVE}",
                (status, error, time.time(), key, *this_process()),
            )

    def cancel(self, key: str, pid: int | None = None) -> None:
        """Ask a run to stop; it does at its next report of progress.

        Args:
            key: The key of the run.
            pid: The process of the run; may be left out if only one process runs it.

        Raises:
            UnknownNameError: If there is no run of that key.
            InputError: If several processes run it and none is named, or another one is named.
        """
        with self.open_to_write() as database:
            known = [k for (k,) in database.execute("SELECT DISTINCT key FROM runs")]
            owners = [owner for owner in owners_of(key, database) if owner.is_alive]
            named = [owner for owner in owners if pid in (None, owner.pid)]
            if len(named) == 1:
                database.execute(
                    f"UPDATE runs SET status = 'cancelled', updated = ? WHERE {MINE}", (time.time(), key, *named[0])
                )
        if key not in known:
            raise UnknownNameError("run", key, known, where=f" in {self.folder}")
        if len(named) > 1 or (owners and not named):
            those = " and ".join(str(owner.pid) for owner in owners)
            raise InputError(f"{key} is run by the processes {those}, not {pid}. Name one of them.")

    def runs(self) -> "pd.DataFrame":
        """Return a table of runs and processes, newest first; a run is `interrupted` if its process ended before it."""
        import pandas as pd

        columns = ["key", "status", "pid", "started", "updated", "done", "total", "error", "born", "spec"]
        with self.open_to_read() as database:
            rows = database.execute(f"SELECT {', '.join(columns)} FROM runs ORDER BY started DESC").fetchall()
        table = pd.DataFrame(rows, columns=columns)
        gone = [
            status in ("queued", "running") and not Process(pid, born).is_alive
            for status, pid, born in zip(table["status"], table["pid"], table["born"], strict=True)
        ]
        table.loc[gone, "status"] = "interrupted"
        table["spec"] = [json.loads(spec) for spec in table["spec"]]
        for column in ("started", "updated"):
            table[column] = pd.to_datetime(table[column], unit="s", utc=True)
        return table.drop(columns="born")

    def open_to_read(self) -> AbstractContextManager[sqlite3.Connection]:
        """Open the catalog for reading."""
        return catalog.open_to_read(self.folder)

    def open_to_write(self) -> AbstractContextManager[sqlite3.Connection]:
        """Open the catalog for a transaction: all changes inside the block are kept together, or none if it raises."""
        return catalog.open_to_write(self.folder)


def owners_of(key: str, database: sqlite3.Connection) -> list[Process]:
    """Return the processes with an unfinished run."""
    return [Process(*row) for row in database.execute(f"SELECT pid, born FROM runs WHERE key = ? AND {ACTIVE}", (key,))]


def drop_ended(key: str, database: sqlite3.Connection) -> int:
    """Remove the finished and interrupted runs of a key; return their number."""
    gone = [owner for owner in owners_of(key, database) if not owner.is_alive]
    count = database.execute(f"DELETE FROM runs WHERE key = ? AND NOT {ACTIVE}", (key,)).rowcount
    return count + sum(database.execute(f"DELETE FROM runs WHERE {MINE}", (key, *owner)).rowcount for owner in gone)


def require_slug(key: str) -> None:
    """Raise unless `key` is a name that stays inside its folder."""
    if not SLUG.fullmatch(key):
        raise InputError(f"{key!r} cannot be the key of a result: keys are letters, digits, '_', '-' and '.'.")
