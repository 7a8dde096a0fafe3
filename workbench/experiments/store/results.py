"""Results on disk: one immutable file each, listed in a catalog once it is complete."""

import inspect
import json
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

from workbench.checkpoints.encoding import decode, encode
from workbench.core.atomic import explain_write_errors, write_atomically
from workbench.core.errors import CheckpointError, ConfigError, UnknownNameError
from workbench.core.registry import ANALYSES
from workbench.core.tensor_file import pack, sha256, unpack
from workbench.experiments.store.catalog import altered_rows, row_sha256
from workbench.experiments.store.processes import this_process
from workbench.experiments.store.run_log import ACTIVE, MINE, RunLog, drop_ended, require_slug, runs_folder

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")

__all__ = ["ResultStore", "result_classes", "runs_folder"]


def result_classes() -> dict[str, type]:
    """Map names to the dataclasses that registered analyses return; no other class is restored from a file."""
    classes: dict[str, type] = {}
    for name in ANALYSES:
        kind = get_type_hints(inspect.unwrap(ANALYSES[name])).get("return")
        if not (isinstance(kind, type) and is_dataclass(kind)):
            raise ConfigError(f"The analysis {name!r} must be annotated to return a dataclass, not {kind!r}.")
        if classes.setdefault(kind.__name__, kind) is not kind:
            raise ConfigError(f"Two classes of results are called {kind.__name__!r}. Give one another name.")
    return classes


@dataclass(frozen=True)
class Stored:
    """A result's entry in the catalog; `facts` is empty if what it depends on was not recorded."""

    key: str
    result: str
    bytes: int
    spec: Mapping[str, Any]
    provenance: Mapping[str, Any]
    facts: Mapping[str, Any]

    def answers(self, spec: Mapping[str, Any]) -> bool:
        """Test that it answers a completed specification; parameters that only one of the two has are ignored."""
        mine, asked = self.spec.get("parameters", {}), spec.get("parameters", {})
        others = (spec.keys() | self.spec.keys()) - {"parameters"}
        return all(self.spec.get(name) == spec.get(name) for name in others) and all(
            mine[name] == asked[name] for name in mine.keys() & asked.keys()
        )


@dataclass(frozen=True)
class ResultStore(RunLog):
    """Results by key, with the progress of each run; several processes may use one folder at the same time.

    `classes` are the results it can read back, by name; None stands for those of the registered analyses.
    """

    classes: Mapping[str, type] | None = None

    def path(self, key: str) -> Path:
        """Return the path of a result, which stays inside the store."""
        require_slug(key)
        return self.folder / "results" / f"{key}.safetensors"

    def put(
        self,
        key: str,
        result: T,
        spec: Mapping[str, Any],
        provenance: Mapping[str, Any],
        facts: Mapping[str, Any] | None = None,
    ) -> T:
        """Store a result permanently, mark this process's run as done and return the stored result as `get` does.

        The first result of a key is kept unless it cannot be read. The row that lists it is committed last, so a
        process that is stopped leaves no incomplete entry.

        Args:
            key: The hash of `facts`.
            result: A dataclass of tensors, numbers, texts, and dataclasses and collections of these.
            spec: The completed specification that it answers.
            provenance: When, where and with which versions it was computed.
            facts: What the answer depends on.
        """
        tensors, values = encode(result)
        name = type(result).__name__
        about = {"key": key, "result": name, "values": values, "spec": dict(spec), "provenance": dict(provenance)}
        content = pack(tensors, about | {"facts": dict(facts or {})})
        written, said = unpack(content, name)
        again = decode(type(result), written, said["values"])  # what cannot be read back is refused now
        path = self.path(key)
        with self.open_to_write() as database:
            for leftover in path.parent.glob(".*.tmp"):  # only the holder of this lock writes: its owner is dead
                leftover.unlink(missing_ok=True)
            if (known := self.find(key)) is None:
                write_atomically(path, content)
                enter(said, content, database)
            database.execute(f"UPDATE runs SET status = 'done', updated = ? WHERE {MINE} AND {ACTIVE}",
                             (time.time(), key, *this_process()))  # fmt: skip
        return again if known is None else known

    def get(self, key: str) -> Any:
        """Return a stored result; neither its model nor its data is needed."""
        about, tensors = self.read(key)
        classes = result_classes() if self.classes is None else self.classes
        if about["result"] not in classes:
            raise UnknownNameError("kind of result", about["result"], classes, where=f" (in the stored result {key})")
        try:
            return decode(classes[about["result"]], tensors, about["values"])
        except (ConfigError, CheckpointError) as error:
            raise CheckpointError(
                f"The stored result {key} is of another version of the workbench: {error} Run its question again: "
                f"`workbench show {key[:8]}` has the command."
            ) from error

    def find(self, key: str) -> Any:
        """Return a stored result, or None if there is none that is intact and readable by this version."""
        if not self.has(key):
            return None
        try:
            return self.get(key)
        except Exception:  # a class of other fields may fail in any way
            return None

    def read(self, key: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the header and the tensors of a stored result, verified bit for bit."""
        path = self.path(key)
        with self.open_to_read() as database:
            row = database.execute("SELECT sha256 FROM results WHERE key = ?", (key,)).fetchone()
            keys = [] if row else [k for (k,) in database.execute("SELECT key FROM results")]
        if row is None:
            raise UnknownNameError("stored result", key, keys, where=f" in {self.folder}")
        content = path.read_bytes() if path.is_file() else b""
        if sha256(content) != row[0]:
            raise CheckpointError(
                f"The result file {path} is missing, cut short or altered: its sha256 is not the catalog's. "
                "Delete the result and run it again."
            )
        tensors, about = unpack(content, str(path))
        return about, tensors

    def has(self, key: str) -> bool:
        """Test that a result is listed and that its file is bit for bit the one that was stored."""
        with self.open_to_read() as database:
            return self.intact(key, database)

    def intact(self, key: str, database: sqlite3.Connection) -> bool:
        """Test that the catalog's row agrees with the file."""
        row = database.execute("SELECT bytes, sha256 FROM results WHERE key = ?", (key,)).fetchone()
        path = self.path(key)
        return (
            row is not None and path.is_file() and path.stat().st_size == row[0] and sha256(path.read_bytes()) == row[1]
        )

    def entries(self, model: str = "", analysis: str = "") -> list[Stored]:
        """List the entries of all results, or of those of one model and analysis, newest first.

        A result without its file, or with a file of another size, is left out.
        """
        where = "WHERE json_extract(spec, '$.model') = ? AND json_extract(spec, '$.analysis') = ?" if model else ""
        columns = "key, result, bytes, spec, provenance, facts"
        with self.open_to_read() as database:
            if altered := altered_rows(database):
                raise CheckpointError(
                    f"The catalog of results in {self.folder} was altered in the row of {altered[0]}. Restore it from "
                    "the result files, which vouch for themselves: workbench store repair"
                )
            rows = database.execute(
                f"SELECT {columns} FROM results {where} ORDER BY rowid DESC", (model, analysis) if model else ()
            )
            found = [Stored(*row[:3], *map(json.loads, row[3:])) for row in rows]
        return [s for s in found if self.path(s.key).is_file() and self.path(s.key).stat().st_size == s.bytes]

    def answers_to(self, spec: Mapping[str, Any]) -> list[Stored]:
        """List the stored answers to a completed specification, under any facts, newest first."""
        return [stored for stored in self.entries(spec["model"], spec["analysis"]) if stored.answers(spec)]

    def catalog(self) -> "pd.DataFrame":
        """Return a table of results, newest first: key, result, bytes, specification and provenance."""
        import pandas as pd

        rows = [{"key": s.key, "result": s.result, "bytes": s.bytes, **s.spec, **s.provenance} for s in self.entries()]
        return pd.DataFrame(rows) if rows else pd.DataFrame(columns=["key", "result", "bytes"])

    def delete(self, key: str) -> None:
        """Remove a result, its file and its finished runs."""
        path = self.path(key)
        with self.open_to_write() as database:
            found = database.execute("DELETE FROM results WHERE key = ?", (key,)).rowcount + drop_ended(key, database)
            keys = [] if found else [k for (k,) in database.execute("SELECT key FROM results")]
        if not found:
            raise UnknownNameError("stored result", key, keys, where=f" in {self.folder}")
        # After the row: a kill in between leaves a file without a row, never a row without its file.
        with explain_write_errors(path, 0):
            path.unlink(missing_ok=True)


def enter(about: Mapping[str, Any], content: bytes, database: sqlite3.Connection) -> None:
    """List a result file in the catalog by its header."""
    texts = [json.dumps(about[part]) for part in ("spec", "provenance", "facts")]
    row = (about["key"], about["result"], len(content), sha256(content), *texts)
    database.execute("INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*row, row_sha256(row)))
