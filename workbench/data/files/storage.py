"""Folders for data on this machine."""

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from platformdirs import user_cache_path

from workbench.core.errors import DataError

VARIABLE = "WORKBENCH_DATA"
_NAMES: ContextVar[set[str] | None] = ContextVar("_NAMES", default=None)


def folders() -> list[Path]:
    """Return the folders to search for data: WORKBENCH_DATA if set, then the user's cache."""
    named = os.environ.get(VARIABLE)
    default = user_cache_path("workbench", appauthor=False)
    return [Path(named).expanduser(), default] if named else [default]


def writable_folder() -> Path:
    """Return the first writable folder of `folders()`, creating it if necessary."""
    for folder in folders():
        if can_write(folder):
            return folder
    tried = " or ".join(str(folder) for folder in folders())
    raise DataError(f"Cannot write data to {tried}. Set {VARIABLE} to a writable folder.")


def can_write(folder: Path) -> bool:
    """Return whether the folder is writable, creating it if possible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Check the mode bits too: root passes os.access everywhere, but should not write to read-only folders.
        return os.access(folder, os.W_OK | os.X_OK) and bool(stat.S_IMODE(folder.stat().st_mode) & 0o222)
    except OSError:
        return False


@contextmanager
def noting_names() -> Iterator[set[str]]:
    """Collect the names of the files that are asked for in the block, whether they are found or not."""
    names: set[str] = set()
    before = _NAMES.set(names)
    try:
        yield names
    finally:
        _NAMES.reset(before)


def candidates(name: str) -> list[Path]:
    """Return the files called `name` in the data folders."""
    if (names := _NAMES.get()) is not None:
        names.add(name)
    return [path for folder in folders() if (path := folder / name).is_file()]


def file_hash(path: Path) -> str:
    """Compute the sha256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
