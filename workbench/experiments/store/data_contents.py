"""Cache of registered data sets and of the hashes of their contents.

The first time that a data set is read, the hash of its contents is noted in the folder of runs, beside the source code
that made it and the stamps of the files that it opened. While these are the same, so are the contents. A data set of
another distribution may read files in ways that are not noticed, so its contents are read once in every process, and
again when a value of its module or of the environment has changed.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from workbench.checkpoints.provenance import stamp_of
from workbench.checkpoints.read_values import values_read_by
from workbench.checkpoints.source_code import OURS, code_of, module_of
from workbench.core.atomic import lock_folder, write_atomically
from workbench.core.errors import CheckpointError
from workbench.core.registry import DATASETS
from workbench.data.files.storage import candidates, noting_names
from workbench.experiments.store.run_log import runs_folder

KEPT = 3
"""Data sets kept in memory."""
NOTES = "data_contents.json"
_OPENED: ContextVar[set[str] | None] = ContextVar("_OPENED", default=None)
_READING = threading.RLock()
_IN_MEMORY: dict[str, Read] = {}


@dataclass(frozen=True, eq=False)
class Read:
    """A data set in memory, with the function that read it and the files that it opened."""

    data: Any
    function: Callable[[], Any]
    names: Set[str]
    paths: Set[str]
    stamps: list[Any]
    surroundings: Any
    sha256: str

    def is_current(self, function: Callable[[], Any]) -> bool:
        """Test that reading it now would give the same."""
        return (
            self.function is function
            and self.stamps == stamps(self.names, self.paths)
            and self.surroundings == surroundings(function)
        )


def data_set(name: str) -> Any:
    """Return a registered data set; it is kept in memory while its function and its files are unchanged."""
    return read(name).data


def contents_sha256(name: str) -> str:
    """Return the hash of a registered data set, which is read only if the hash is not known."""
    with _READING:
        function, held = DATASETS[name], _IN_MEMORY.get(name)
        if held is not None and held.is_current(function):
            return held.sha256
        found = valid_note(name, function)
        return found["sha256"] if found else read(name).sha256


def read(name: str) -> Read:
    """Return a registered data set with its hash, reading it again if its function or a file changed."""
    with _READING:
        function, held = DATASETS[name], _IN_MEMORY.pop(name, None)
        if held is None or not held.is_current(function):
            known = valid_note(name, function)
            with noting_names() as names, noting_paths(known is None) as opened:
                data = function()
            around = surroundings(function)
            paths = set(known["paths"]) if known else {path for path in opened if stamp_of(Path(path)) is not None}
            held = Read(data, function, names, paths, stamps(names, paths), around, content_sha256(data))
            if is_ours(function) and (known is None or known["sha256"] != held.sha256):
                write_note(name, held)
        _IN_MEMORY[name] = held
        for old in list(_IN_MEMORY)[:-KEPT]:
            del _IN_MEMORY[old]
        return held


def forget() -> None:
    """Drop every data set from memory."""
    with _READING:
        _IN_MEMORY.clear()


def is_ours(function: Callable[[], Any]) -> bool:
    """Test that a data set comes with the workbench, for which every opened file is recorded."""
    return module_of(function).startswith(f"{OURS}.data.")


def surroundings(function: Callable[[], Any]) -> Any:
    """Return the values and the environment variables that a data set of another distribution may read."""
    if is_ours(function):
        return None
    own = [name for name in code_of([function]).modules if name.partition(".")[0] != OURS]
    return values_read_by([function], own), dict(os.environ)


def stamps(names: Set[str], paths: Set[str]) -> list[Any]:
    """Return the stamps of the files found for these names and at these paths."""
    files = [path for name in sorted(names) for path in candidates(name)] + [Path(path) for path in sorted(paths)]
    return [stamp_of(path) for path in files]


# What is noted on disk


def notes() -> dict[str, Any]:
    """Return the notes on data sets that were read before; empty if the file cannot be read."""
    with suppress(OSError, ValueError):
        return dict(json.loads((runs_folder() / NOTES).read_text(encoding="utf-8")))
    return {}


def valid_note(name: str, function: Callable[[], Any]) -> dict[str, Any] | None:
    """Return the note on a data set if everything that decides its contents is unchanged."""
    found = notes().get(name) if is_ours(function) else None
    if found is None or found["token"] != token(function, set(found["names"]), set(found["paths"])):
        return None
    return found


def token(function: Callable[[], Any], names: Set[str], paths: Set[str]) -> str:
    """Compute a hash of everything that decides the contents of a data set of ours."""
    code = code_of([function])
    facts = [code.modules, code.versions, stamps(names, paths)]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def write_note(name: str, held: Read) -> None:
    """Write a note; if the folder cannot be written, the next process reads the data set again."""
    folder = runs_folder()
    facts = {"names": sorted(held.names), "paths": sorted(held.paths), "sha256": held.sha256}
    facts["token"] = token(held.function, held.names, held.paths)
    with suppress(OSError, CheckpointError):
        folder.mkdir(parents=True, exist_ok=True)
        with lock_folder(folder):
            write_atomically(folder / NOTES, json.dumps({**notes(), name: facts}, indent=1).encode())


# Files that are opened


@contextmanager
def noting_paths(switched_on: bool) -> Iterator[set[str]]:
    """Collect the files that are opened in the block, by `open` or anything built upon it."""
    opened: set[str] = set()
    if not switched_on:
        yield opened
        return
    watch_openings()
    before = _OPENED.set(opened)
    try:
        yield opened
    finally:
        _OPENED.reset(before)


@cache
def watch_openings() -> None:
    """Let the interpreter report opened files, once per process because it cannot be undone."""

    def note_path(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and (opened := _OPENED.get()) is not None and isinstance(arguments[0], str | bytes):
            path = os.path.abspath(os.fsdecode(arguments[0]))
            if not path.endswith((".py", ".pyc")) and not path.startswith(("/proc/", "/sys/", "/dev/")):
                opened.add(path)

    sys.addaudithook(note_path)


# Hashes of contents


def content_sha256(data: Any) -> str:
    """Compute the hash of a data set: types, shapes and bytes of tensors, texts and numbers in order."""
    digest = hashlib.sha256()
    feed(digest.update, data)
    return digest.hexdigest()


def feed(update: Callable[[Any], None], value: Any) -> None:
    """Add the bytes of a value and of all its members to a digest."""
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().contiguous().view(torch.uint8) if value.dtype is torch.bfloat16 else value.numpy()
    if isinstance(value, np.ndarray):
        update(f"{value.dtype.str}{value.shape}".encode())
        update(np.ascontiguousarray(value).data if value.dtype.kind != "O" else repr(value.tolist()).encode())
    elif isinstance(value, str | bytes | int | float | complex | bool | None):
        content = value if isinstance(value, bytes) else str(value).encode()
        update(f"{type(value).__name__}{len(content)}:".encode() + content)
    elif isinstance(value, Mapping):
        feed(update, [list(item) for item in value.items()])
    elif isinstance(value, list | tuple | set | frozenset):
        update(f"{type(value).__name__}{len(value)}".encode())
        for entry in sorted(value, key=repr) if isinstance(value, Set) else value:
            feed(update, entry)
    elif hasattr(value, "to_json"):
        feed(update, value.to_json())
    elif is_dataclass(value):
        update(type(value).__qualname__.encode())
        for field in fields(value):
            feed(update, getattr(value, field.name))
    elif callable(value):
        update(f"{module_of(value)}:{getattr(value, '__qualname__', type(value).__qualname__)}".encode())
    else:
        feed(update, {"": type(value).__qualname__, **getattr(value, "__dict__", {})})
