"""Catalog of a folder of results: one SQLite file that any number of processes read and write."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from workbench.core.atomic import describe_room, explain_write_errors, lock_folder
from workbench.core.errors import CheckpointError

NAME = "catalog.sqlite"
BESIDE = ("-wal", "-shm", "-journal")
"""Suffixes of the files that SQLite keeps beside a database and reads as a part of it."""
PATIENCE = 60.0
"""Seconds to wait while another process writes."""
VERSION = 2
"""Version of the tables; 0 for tables from before the version was recorded."""
RUNS = """
CREATE TABLE runs (
    key TEXT NOT NULL, pid INTEGER NOT NULL, born REAL NOT NULL, status TEXT NOT NULL, spec TEXT NOT NULL,
    started REAL NOT NULL, updated REAL NOT NULL, done INTEGER NOT NULL DEFAULT 0, total INTEGER NOT NULL DEFAULT 0,
    error TEXT NOT NULL DEFAULT '', PRIMARY KEY (key, pid, born));
"""
TABLES = f"""
CREATE TABLE results (
    key TEXT PRIMARY KEY, result TEXT NOT NULL, bytes INTEGER NOT NULL, sha256 TEXT NOT NULL,
    spec TEXT NOT NULL, provenance TEXT NOT NULL, facts TEXT NOT NULL DEFAULT '{{}}',
    row_sha256 TEXT NOT NULL DEFAULT '');
{RUNS}"""
COLUMNS = "key, result, bytes, sha256, spec, provenance, facts"
"""Columns of a row of results that its hash covers."""
FROM_1 = "ALTER TABLE results ADD COLUMN row_sha256 TEXT NOT NULL DEFAULT '';"
FROM_0 = f"""
ALTER TABLE results ADD COLUMN facts TEXT NOT NULL DEFAULT '{{}}';
ALTER TABLE runs RENAME TO runs_of_version_0;
{RUNS}INSERT INTO runs (key, pid, born, status, spec, started, updated, done, total, error)
    SELECT key, pid, CAST(process AS REAL) / 100, status, spec, started, updated, done, total, error
    FROM runs_of_version_0;
DROP TABLE runs_of_version_0;
"""
"""Migration from one row per question to one per question and process."""

ALL_COLUMNS = {
    "results": f"{COLUMNS}, row_sha256",
    "runs": "key, pid, born, status, spec, started, updated, done, total, error",
}
"""Columns of each table."""


@contextmanager
def open_to_read(folder: Path) -> Iterator[sqlite3.Connection]:
    """Open the catalog for reading, creating or migrating it if necessary."""
    with explain_refusals(folder):
        path = folder / NAME
        if not path.is_file():
            create(path)
        # SQLite's log needs a writable folder; without one, no other process can be writing either.
        writable = os.access(folder, os.W_OK)
        address = path.absolute().as_uri() + ("" if writable else "?immutable=1")
        with closing(connect(address)) as database:
            if version_of(database, folder) == VERSION:
                yield database
            elif writable:
                migrate(database)
                yield database
            else:
                with closing(connect(":memory:")) as copy:
                    database.backup(copy)
                    migrate(copy)
                    yield copy


@contextmanager
def open_to_write(folder: Path) -> Iterator[sqlite3.Connection]:
    """Open the catalog for a transaction: all changes inside the block are kept together, or none if it raises."""
    with open_to_read(folder) as database, transaction(database):
        yield database


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """Commit all changes inside the block together, or none if it raises."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


def connect(address: str) -> sqlite3.Connection:
    """Open a connection with explicit transactions."""
    return sqlite3.connect(address, timeout=PATIENCE, isolation_level=None, uri=True)


def create(path: Path) -> None:
    """Create an empty catalog at `path` unless another process was quicker; it appears complete or not at all.

    Files that an earlier catalog left beside it are moved away, because SQLite would replay them onto the new one.
    """
    with explain_write_errors(path, 0):
        path.parent.mkdir(parents=True, exist_ok=True)
        with lock_folder(path.parent):
            if path.is_file():
                return
            for left in beside(path):
                left.replace(left.with_name(f"{left.name}.{secrets.token_hex(4)}.orphan"))
            temporary = path.with_name(f".{path.name}.tmp")
            for left in (temporary, *beside(temporary)):
                left.unlink(missing_ok=True)
            with closing(sqlite3.connect(temporary)) as database:
                database.execute("PRAGMA journal_mode = WAL")
                database.executescript(f"{TABLES} PRAGMA user_version = {VERSION};")
            temporary.replace(path)


def beside(path: Path) -> list[Path]:
    """List the files that SQLite left beside a database."""
    return [left for end in BESIDE if (left := path.with_name(path.name + end)).exists()]


def version_of(database: sqlite3.Connection, folder: Path) -> int:
    """Return the version of a catalog's tables, which must not be newer than ours."""
    version = int(database.execute("PRAGMA user_version").fetchone()[0])
    if version > VERSION:
        raise CheckpointError(
            f"The catalog of results in {folder} has version {version}, and this workbench knows {VERSION} at most. "
            "Install a newer workbench, or choose another folder with the environment variable WORKBENCH_RUNS."
        )
    return version


def migrate(database: sqlite3.Connection) -> None:
    """Migrate the tables of a catalog to the current version in one transaction."""
    with transaction(database):
        version = database.execute("PRAGMA user_version").fetchone()[0]
        if version == VERSION:  # another process was quicker
            return
        has_tables = database.execute("SELECT 1 FROM sqlite_master WHERE name = 'runs'").fetchone()
        changes = {0: FROM_0 + FROM_1, 1: FROM_1}[version] if has_tables else TABLES
        for statement in changes.split(";"):
            database.execute(statement)
        for row in database.execute(f"SELECT {COLUMNS} FROM results").fetchall():
            database.execute("UPDATE results SET row_sha256 = ? WHERE key = ?", (row_sha256(row), row[0]))
        database.execute(f"PRAGMA user_version = {VERSION}")


@contextmanager
def explain_refusals(folder: Path) -> Iterator[None]:
    """Turn SQLite's errors into one `CheckpointError`."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if is_damage(error):
            raise CheckpointError(describe_damage(folder, error)) from error
        raise CheckpointError(
            f"The catalog of results in {folder} cannot be used: {error} ({describe_room(folder)}). Free some room, "
            "make the folder writable, or choose another one with the environment variable WORKBENCH_RUNS."
        ) from error
    except sqlite3.DatabaseError as error:
        raise CheckpointError(describe_damage(folder, error)) from error


def is_damage(error: BaseException | None) -> bool:
    """Test if SQLite's error says that the catalog is damaged: it is no database, or lacks a table or a column."""
    missing = isinstance(error, sqlite3.OperationalError) and str(error).startswith("no such ")
    return missing or type(error) is sqlite3.DatabaseError


def describe_damage(folder: Path, error: sqlite3.Error) -> str:
    """Return the sentence about a damaged catalog."""
    return (
        f"The catalog of results in {folder} is damaged: {error}. `workbench store repair` moves it away and makes "
        "a new one from the result files."
    )


def row_sha256(row: Sequence[Any]) -> str:
    """Compute the hash of a row of results, which reveals any changed bit."""
    return hashlib.sha256(json.dumps(list(row)).encode()).hexdigest()


def altered_rows(database: sqlite3.Connection) -> list[str]:
    """List the keys of results with a row that was altered."""
    rows = database.execute(f"SELECT {COLUMNS}, row_sha256 FROM results").fetchall()
    return [str(row[0]) for row in rows if row_sha256(row[:-1]) != row[-1]]
