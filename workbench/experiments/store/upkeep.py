"""Check, repair and clean a folder of results.

| finding | what it is | repair | clean |
|---|---|---|---|
| damaged catalog | SQLite cannot read it | moves it away, makes a new one | |
| lost result | a row with a missing or altered file | removes the row | |
| unlisted result | a whole file that no row lists | lists it again | deletes it |
| broken file | a file that no row lists and that is not whole | | deletes it |
| leftover | a half-written file of a process that is gone | | deletes it |
| orphaned log | what SQLite left beside a catalog that is gone | | deletes it |
| old catalog | a damaged catalog that was moved away | | deletes it |
| ended run | a run without its process | | removes the row |
| superseded result | a newer answer to its question is stored (only when asked for) | | deletes it |
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from workbench.core.atomic import explain_write_errors, lock_folder
from workbench.core.errors import CheckpointError
from workbench.core.tensor_file import unpack
from workbench.experiments.store.catalog import ALL_COLUMNS, BESIDE, NAME, altered_rows, beside, is_damage
from workbench.experiments.store.processes import Process, start_of
from workbench.experiments.store.results import ResultStore, enter
from workbench.experiments.store.run_log import ACTIVE, MINE

Kind = Literal[
    "damaged catalog", "lost result", "unlisted result", "broken file", "leftover", "orphaned log", "old catalog",
    "ended run", "superseded result",
]  # fmt: skip
REPAIRED = ("damaged catalog", "lost result", "unlisted result")
CLEANED = (
    "unlisted result", "broken file", "leftover", "orphaned log", "old catalog", "ended run", "superseded result"
)  # fmt: skip
TEMPORARY = re.compile(r"\..*\.(?P<pid>\d+)-[0-9a-f]+\.tmp")
MOVED = "damaged-catalog-"
"""Start of the names of the folders to which `repair` moves damaged catalogs."""


@dataclass(frozen=True)
class Finding:
    """A defect of a store; `name` is a path in its folder, or the key of a run."""

    kind: Kind
    name: str
    bytes: int = 0
    owner: Process | None = None

    @property
    def remedy(self) -> str:
        """The commands that remove it."""
        return " or ".join(action for action, kinds in (("repair", REPAIRED), ("clean", CLEANED)) if self.kind in kinds)


def check(store: ResultStore, superseded: bool = False) -> list[Finding]:
    """Find damaged, orphaned and leftover files and rows in a store; nothing is changed.

    Args:
        store: The store.
        superseded: Find results that a newer answer to the same question has replaced, too.
    """
    old = [Finding("old catalog", path.name, size_of(path)) for path in sorted(store.folder.glob(f"{MOVED}*"))]
    found = [*leftovers(store.folder), *orphaned_logs(store.folder), *old]
    damage = damage_of(store)
    if damage:
        return [Finding("damaged catalog", NAME, size_of(store.folder / NAME)), *found]
    listed: dict[str, int] = {}
    if (store.folder / NAME).is_file():
        with store.open_to_read() as database:
            listed = dict(database.execute("SELECT key, bytes FROM results"))
            runs = database.execute(f"SELECT key, pid, born FROM runs WHERE {ACTIVE}").fetchall()
            altered = set(altered_rows(database))
            lost = [key for key in listed if key in altered or not store.intact(key, database)]
        found += [Finding("lost result", file_name(key), size_of(store.path(key))) for key in lost]
        ended = [(key, Process(pid, born)) for key, pid, born in runs if not Process(pid, born).is_alive]
        found += [Finding("ended run", key, owner=owner) for key, owner in ended]
    found += [unlisted_result(path, store.folder) for path in result_files(store.folder) if path.stem not in listed]
    return [*found, *(superseded_results(store) if superseded else ())]


def repair(store: ResultStore) -> list[Finding]:
    """Make the catalog agree with the files and return the defects that were repaired.

    A catalog that cannot be read is moved into a folder of its own, with everything that SQLite keeps beside it.
    """
    done = [finding for finding in check(store) if finding.kind in REPAIRED]
    if any(finding.kind == "damaged catalog" for finding in done):
        move_away(store.folder)
        done += [finding for finding in check(store) if finding.kind in REPAIRED]
    with store.open_to_write() as database:
        for finding in done:
            path = store.folder / finding.name
            about = read_header(path)
            if finding.kind == "lost result" and (about is None or not store.intact(path.stem, database)):
                database.execute("DELETE FROM results WHERE key = ?", (path.stem,))
            if finding.kind != "damaged catalog" and about is not None:
                enter(about, path.read_bytes(), database)
    return done


def clean(store: ResultStore, findings: Iterable[Finding]) -> int:
    """Delete findings that are unchanged since they were found, and return the bytes freed."""
    before = size_of(store.folder)
    for finding in findings:
        path = store.folder / finding.name
        with store.open_to_write() as database, explain_write_errors(path, 0):
            if finding.kind == "ended run" and finding.owner is not None and not finding.owner.is_alive:
                database.execute(f"DELETE FROM runs WHERE {MINE} AND {ACTIVE}", (finding.name, *finding.owner))
            elif finding.kind in ("unlisted result", "broken file"):
                if not database.execute("SELECT 1 FROM results WHERE key = ?", (path.stem,)).fetchone():
                    path.unlink(missing_ok=True)
            elif finding.kind == "old catalog":
                shutil.rmtree(path, ignore_errors=True)
            elif finding.kind in ("leftover", "orphaned log"):
                path.unlink(missing_ok=True)
        if finding.kind == "superseded result" and store.has(path.stem):
            store.delete(path.stem)
    with store.open_to_read() as database:
        database.execute("VACUUM")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return max(0, before - size_of(store.folder))


def damage_of(store: ResultStore) -> str:
    """Return the reason why the catalog cannot be read; "" if it is intact or missing."""
    if not (store.folder / NAME).is_file():
        return ""
    try:
        with store.open_to_read() as database:
            answer = str(database.execute("PRAGMA integrity_check").fetchone()[0])
            for table, columns in ALL_COLUMNS.items():
                database.execute(f"SELECT {columns} FROM {table} LIMIT 0")
    except CheckpointError as error:
        if not is_damage(error.__cause__):  # it is locked, or its folder cannot be used
            raise
        return str(error)
    return "" if answer == "ok" else answer


def move_away(folder: Path) -> None:
    """Move a catalog and the files that SQLite keeps beside it into a folder of its own."""
    target = folder / f"{MOVED}{datetime.now(UTC):%Y%m%d-%H%M%S-%f}"
    with explain_write_errors(target, 0), lock_folder(folder):
        target.mkdir()
        for path in (*beside(folder / NAME), folder / NAME):  # the catalog last: without it the rest is never replayed
            path.replace(target / path.name)


def read_header(path: Path) -> dict[str, Any] | None:
    """Return the header of a result file if it matches all of its bytes and its name, else None."""
    with suppress(CheckpointError, OSError, ValueError, LookupError, TypeError, AttributeError):
        about = {"key": path.stem, "facts": {}} | unpack(path.read_bytes(), path.name)[1]  # older files lack these
        if about["key"] == path.stem and "values" in about:
            return about | {name: about[name] for name in ("result", "spec", "provenance")}
    return None


# What there is


def result_files(folder: Path) -> list[Path]:
    """List the files of results."""
    return sorted((folder / "results").glob("[!.]*.safetensors"))


def file_name(key: str) -> str:
    """Return the path of a result's file in the folder."""
    return f"results/{key}.safetensors"


def unlisted_result(path: Path, folder: Path) -> Finding:
    """Return the finding for a result file that the catalog does not list."""
    kind: Kind = "broken file" if read_header(path) is None else "unlisted result"
    return Finding(kind, str(path.relative_to(folder)), size_of(path))


def leftovers(folder: Path) -> Iterator[Finding]:
    """Find half-written files of processes that have ended."""
    for path in sorted([*folder.glob(".*.tmp"), *(folder / "results").glob(".*.tmp")]):
        writer = TEMPORARY.fullmatch(path.name)
        if writer is None or start_of(int(writer["pid"])) is None:
            yield Finding("leftover", str(path.relative_to(folder)), size_of(path))


def orphaned_logs(folder: Path) -> Iterator[Finding]:
    """Find logs and indexes of SQLite without their catalog or search."""
    for path in sorted([*folder.glob("*.sqlite*"), *(folder / "searches").glob("*.db-*")]):
        end = next((end for end in BESIDE if path.name.endswith(end)), "")
        without = bool(end) and not path.with_name(path.name.removesuffix(end)).exists()
        if without or path.suffix == ".orphan":
            yield Finding("orphaned log", str(path.relative_to(folder)), size_of(path))


def superseded_results(store: ResultStore) -> Iterator[Finding]:
    """Find results with a newer answer to the same question."""
    newer: list[Any] = []
    for stored in store.entries():
        if any(other.answers(stored.spec) for other in newer):
            yield Finding("superseded result", file_name(stored.key), stored.bytes)
        newer.append(stored)


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder."""
    if path.is_dir():
        return sum(size_of(inner) for inner in path.iterdir())
    with suppress(OSError):
        return path.stat().st_size
    return 0
