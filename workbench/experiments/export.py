"""Results as files for other programs: CSV, JSON, Parquet, or a figure in a web page."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from workbench.checkpoints.atomic import write_atomically
from workbench.core.errors import UnknownNameError
from workbench.experiments.run import full_key
from workbench.experiments.store import ResultStore
from workbench.figures.figure import figure
from workbench.figures.table import table

FORMATS = ("csv", "json", "parquet", "html")


def export(key: str, to: str, path: Path, store: ResultStore | None = None) -> Path:
    """The file with a stored result: `to` is csv, json, parquet or html; killed at any moment, old or new is whole."""
    store = store or ResultStore()
    write_atomically(path, rendered(full_key(key, store), to, store))
    return path


def rendered(key: str, to: str, store: ResultStore) -> bytes:
    """The content of such a file.

    JSON says what was asked and how it was computed; a web page holds all it needs and loads nothing.
    """
    if to not in FORMATS:
        raise UnknownNameError("format", to, FORMATS)
    result = store.get(key)
    if to == "html":
        return figure(result).to_html(include_plotlyjs=True).encode()
    rows = table(result)
    if to == "csv":
        return rows.to_csv(index=False).encode()
    if to == "parquet":
        buffer = io.BytesIO()
        rows.to_parquet(buffer, index=False)
        return buffer.getvalue()
    return as_json(key, rows, store).encode()


def as_json(key: str, rows: Any, store: ResultStore) -> str:
    """The rows of a result, with its specification and provenance."""
    about, _ = store.read(key)
    facts = {"key": key, "result": about["result"], "spec": about["spec"], "provenance": about["provenance"]}
    return json.dumps(facts | {"rows": json.loads(rows.to_json(orient="records"))}, ensure_ascii=False, indent=1) + "\n"


def format_of(path: Path) -> str:
    """The format that a file's ending names."""
    ending = path.suffix.removeprefix(".")
    if ending not in FORMATS:
        raise UnknownNameError("format", ending, FORMATS, where=f" (the ending of {path.name})")
    return ending
