"""Where data lives on this machine: the folders that are searched, the one that is written to, and safe writing."""

import hashlib
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from platformdirs import user_cache_path

from workbench.core.errors import DataError

VARIABLE = "WORKBENCH_DATA"


def folders() -> list[Path]:
    """The folders that are searched for data, first to last: the one named by WORKBENCH_DATA, then the user's cache."""
    named = os.environ.get(VARIABLE)
    default = user_cache_path("workbench", appauthor=False)
    return [Path(named).expanduser(), default] if named else [default]


def writable_folder() -> Path:
    """The first of `folders()` that may be written to, created when it does not exist."""
    for folder in folders():
        if may_write(folder):
            return folder
    tried = " or ".join(str(folder) for folder in folders())
    raise DataError(f"Cannot write data to {tried}. Set {VARIABLE} to a folder that you may write to.")


def may_write(folder: Path) -> bool:
    """Whether files may be put there; creates the folder when that is possible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # The mode bits too: an administrator may write anywhere, and still should not where nobody is meant to.
        return os.access(folder, os.W_OK | os.X_OK) and bool(stat.S_IMODE(folder.stat().st_mode) & 0o222)
    except OSError:
        return False


def candidates(name: str) -> list[Path]:
    """The files called `name` in the folders that are searched."""
    return [path for folder in folders() if (path := folder / name).is_file()]


def file_hash(path: Path) -> str:
    """The sha256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_whole(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Writes a file that is never seen half-done: under another name first, then moved into place."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as stream:
            write(stream)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
