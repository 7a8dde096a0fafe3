"""Pictures that were uploaded or drawn in the dashboard: kept under a name of their contents, for a while."""

from __future__ import annotations

import hashlib
import os
import re
import time
from pathlib import Path

from workbench.core.atomic import write_atomically
from workbench.core.errors import InputError
from workbench.experiments.inputs.batches import ALSO
from workbench.experiments.store.run_log import runs_folder

NAME = re.compile(r"[0-9a-f]{16}\.png")
DAYS, ROOM = 90, 200_000_000
"""Days without use after which a picture is deleted, and the bytes that all of them may take."""
FILES = ("file", "fitted")
"""Sources of inputs that are files."""


def folder() -> Path:
    """The folder that holds the pictures."""
    return runs_folder() / "pictures"


def keep(content: bytes) -> str:
    """Keep a picture, delete those that nobody used for long, and return its name."""
    name = f"{hashlib.sha256(content).hexdigest()[:16]}.png"
    folder().mkdir(parents=True, exist_ok=True)
    write_atomically(folder() / name, content)
    clean()
    return name


def clean() -> None:
    """Delete pictures that are old, and the oldest when all together are too large."""
    now, taken = time.time(), 0
    files = [(path, path.stat()) for path in folder().glob("*.png")]
    for path, about in sorted(files, key=lambda file: -file[1].st_mtime):
        taken += about.st_size
        if taken > ROOM or now - about.st_mtime > DAYS * 24 * 3600:
            path.unlink(missing_ok=True)


def located(path: str) -> str:
    """The path of a picture: of one that is kept here, when it goes by such a name, else the path as it is given."""
    if not NAME.fullmatch(path):
        return path
    found = folder() / path
    if not found.is_file():
        if Path(path).is_file():
            return path
        raise InputError(
            f"There is no picture {path}, or no longer: what is uploaded is kept for {DAYS} days. Upload it again."
        )
    os.utime(found)
    return str(found)


def require_kept(*inputs: str) -> None:
    """Raise unless every file that these inputs name is a picture kept here; for inputs that come from a link."""
    for text in inputs:
        source, _, rest = text.partition(":")
        if source in FILES and not all(map(is_kept, rest.split(ALSO))):
            raise InputError(
                f"A page opens pictures that were uploaded to it in the last {DAYS} days and no other file of its "
                f"server, so {source!r} cannot be followed by this path. Upload the picture beside the inputs, or use "
                "the command line."
            )


def is_kept(path: str) -> bool:
    """Test whether a path leads to a picture that is kept here, by its name or, as in older links, as a whole."""
    if NAME.fullmatch(path):
        return (folder() / path).is_file()
    try:
        whole = Path(path).resolve()
    except (OSError, ValueError, RuntimeError):
        return False
    return whole.parent == folder().resolve() and NAME.fullmatch(whole.name) is not None
