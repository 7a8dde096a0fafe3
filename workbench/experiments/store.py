"""Results on disk: one immutable file each, and a catalog that lists a result only once it is whole."""

import inspect
import json
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

from workbench.checkpoints.atomic import explained, write_atomically
from workbench.checkpoints.encoding import decode, encode
from workbench.checkpoints.tensor_file import pack, sha256, unpack
from workbench.core.errors import CheckpointError, ConfigError, UnknownNameError
from workbench.core.registry import ANALYSES
from workbench.experiments.run_log import RunLog, require_slug, runs_folder

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")

__all__ = ["ResultStore", "result_classes", "runs_folder"]


def result_classes() -> dict[str, type]:
    """The dataclasses that registered analyses say they return, by name: nothing else is ever made from a file."""
    classes: dict[str, type] = {}
    for name in ANALYSES:
        kind = get_type_hints(inspect.unwrap(ANALYSES[name])).get("return")
        if not (isinstance(kind, type) and is_dataclass(kind)):
            raise ConfigError(f"The analysis {name!r} must be annotated to return a dataclass, not {kind!r}.")
        if classes.setdefault(kind.__name__, kind) is not kind:
            raise ConfigError(f"Two classes of results are called {kind.__name__!r}. Give one another name.")
    return classes


@dataclass(frozen=True)
class ResultStore(RunLog):
    """Results by key, beside how far each run is; any number of processes may use one folder at the same time.

    `classes` are the results it can read back, by name; None stands for those of the registered analyses.
    """

    classes: Mapping[str, type] | None = None

    def path(self, key: str) -> Path:
        """The file of a result, which stays inside the store."""
        require_slug(key)
        return self.folder / "results" / f"{key}.safetensors"

    def put(self, key: str, result: T, spec: Mapping[str, Any], provenance: Mapping[str, Any]) -> T:
        """Stores a result for good, marks its run as done and returns the stored result as `get` does.

        Whoever stores the same key first wins. The row that lists it is committed last, so whatever stops this process
        leaves nothing half-done in sight.
        """
        tensors, values = encode(result)
        name = type(result).__name__
        about = {"result": name, "values": values, "spec": dict(spec), "provenance": dict(provenance)}
        content = pack(tensors, about)
        written, said = unpack(content, name)
        again = decode(type(result), written, said["values"])  # what cannot be read back is refused now
        facts = (key, name, len(content), sha256(content), json.dumps(about["spec"]), json.dumps(about["provenance"]))
        path = self.path(key)
        with self.changing() as database:
            for leftover in path.parent.glob(".*.tmp"):  # only the holder of this lock writes: its owner is dead
                leftover.unlink(missing_ok=True)
            if not (known := self.intact(key, database)):
                write_atomically(path, content)
                database.execute("INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?, ?, ?)", facts)
            database.execute("UPDATE runs SET status = 'done', updated = ? WHERE key = ?", (time.time(), key))
        return self.get(key) if known else again

    def get(self, key: str) -> Any:
        """The stored result; neither its model nor its data is needed."""
        about, tensors = self.read(key)
        classes = result_classes() if self.classes is None else self.classes
        if about["result"] not in classes:
            raise UnknownNameError("kind of result", about["result"], classes, where=f" (in the stored result {key})")
        return decode(classes[about["result"]], tensors, about["values"])

    def read(self, key: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """What is said about a stored result, and its tensors, verified bit for bit."""
        path = self.path(key)
        with self.looking() as database:
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
        """Whether the result is listed and its file is, bit for bit, the one that was stored."""
        with self.looking() as database:
            return self.intact(key, database)

    def intact(self, key: str, database: sqlite3.Connection) -> bool:
        """Whether the catalog's row and the file agree."""
        row = database.execute("SELECT bytes, sha256 FROM results WHERE key = ?", (key,)).fetchone()
        path = self.path(key)
        return (
            row is not None and path.is_file() and path.stat().st_size == row[0] and sha256(path.read_bytes()) == row[1]
        )

    def catalog(self) -> "pd.DataFrame":
        """One row per stored result, newest first: key, result, bytes, then the specification and the provenance.

        A result whose file is gone or has another size is left out.
        """
        import pandas as pd

        with self.looking() as database:
            listed = database.execute("SELECT key, result, bytes, spec, provenance FROM results ORDER BY rowid DESC")
            rows = [
                {"key": key, "result": result, "bytes": size, **json.loads(spec), **json.loads(provenance)}
                for key, result, size, spec, provenance in listed
                if self.path(key).is_file() and self.path(key).stat().st_size == size
            ]
        return pd.DataFrame(rows) if rows else pd.DataFrame(columns=["key", "result", "bytes"])

    def delete(self, key: str) -> None:
        """Removes a result, its file and its run."""
        path = self.path(key)
        with self.changing() as database:
            found = database.execute("DELETE FROM results WHERE key = ?", (key,)).rowcount
            found += database.execute("DELETE FROM runs WHERE key = ?", (key,)).rowcount
            keys = [] if found else [k for (k,) in database.execute("SELECT key FROM results")]
        if not found:
            raise UnknownNameError("stored result", key, keys, where=f" in {self.folder}")
        # After the row: a kill in between leaves a file that nobody lists, never a row without its file.
        with explained(path, 0):
            path.unlink(missing_ok=True)
