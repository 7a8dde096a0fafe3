"""Export of results as CSV, JSON, Parquet, or a figure in a web page."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from workbench.analysis.circuits.circuit import Circuit
from workbench.checkpoints.card import read_card
from workbench.core.atomic import write_atomically
from workbench.core.errors import InputError, UnknownNameError
from workbench.experiments.run import full_key
from workbench.experiments.store.circuit_formats import circuit_json, eap_ig_json, graphml
from workbench.experiments.store.results import ResultStore
from workbench.figures.figure import figure
from workbench.figures.markup import remove_foreign_markup
from workbench.figures.table import table

FORMATS = ("csv", "json", "parquet", "html")
CIRCUIT_FORMATS = ("circuit", "eap_ig", "graphml")
"""Additional formats of circuits: exact JSON, or the strongest edges for other programs."""


def export(key: str, to: str, path: Path, store: ResultStore | None = None, size: int = 0) -> Path:
    """Write a stored result to a file; if interrupted, the old or the new file is complete."""
    store = store or ResultStore()
    write_atomically(path, render(full_key(key, store), to, store, size))
    return path


def render(key: str, to: str, store: ResultStore, size: int = 0) -> bytes:
    """Render a stored result in one of the formats; `size` is the number of edges of a circuit for other programs.

    JSON says what was asked and how it was computed; a web page holds all it needs and loads nothing.
    """
    if to not in (*FORMATS, *CIRCUIT_FORMATS):
        raise UnknownNameError("format", to, (*FORMATS, *CIRCUIT_FORMATS))
    result = store.get(key)
    if to in CIRCUIT_FORMATS:
        return circuit_file(key, result, to, store, size).encode()
    if to == "html":
        return remove_foreign_markup(figure(result)).to_html(include_plotlyjs=True).encode()
    rows = table(result)
    if to == "csv":
        return rows.to_csv(index=False).encode()
    if to == "parquet":
        buffer = io.BytesIO()
        rows.to_parquet(buffer, index=False)
        return buffer.getvalue()
    return as_json(key, rows, store).encode()


def circuit_file(key: str, result: Any, to: str, store: ResultStore, size: int) -> str:
    """Render a circuit in one of its own formats."""
    if not isinstance(result, Circuit):
        raise InputError(f"{key[:8]} is no circuit, and only a circuit can be written as {to!r}. Choose json or csv.")
    if to == "circuit":
        return circuit_json(result)
    if size > result.wiring.n_edges:
        raise InputError(f"A size of {size} edges: this graph has {result.wiring.n_edges}. Choose fewer.")
    size = size or int(result.sizes[result.enough()])
    if to == "graphml":
        return graphml(result, size)
    about, _ = store.read(key)
    model, models = about["spec"]["model"], about.get("facts", {}).get("models", {})
    config = models[model]["config"] if model in models else read_card(model).config  # as it was, not as it is now
    return eap_ig_json(result, config.get("d_model", 0), size)


def as_json(key: str, rows: Any, store: ResultStore, more: Mapping[str, Any] = MappingProxyType({})) -> str:
    """Return the rows of a result as JSON, with its specification, its provenance and the facts in `more`."""
    about, _ = store.read(key)
    facts = {"key": key, "result": about["result"], "spec": about["spec"], "provenance": about["provenance"], **more}
    return json.dumps(facts | {"rows": json.loads(rows.to_json(orient="records"))}, ensure_ascii=False, indent=1) + "\n"


def format_of(path: Path) -> str:
    """Return the format of a file name's ending."""
    ending = path.suffix.removeprefix(".")
    if ending not in (known := (*FORMATS, "graphml")):
        raise UnknownNameError("format", ending, known, where=f" (the ending of {path.name})")
    return ending
