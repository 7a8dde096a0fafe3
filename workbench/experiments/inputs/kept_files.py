"""Files uploaded or drawn in the dashboard, kept for some days under a hash of their contents."""

from __future__ import annotations

import hashlib
import os
import re
import time
from pathlib import Path

from workbench.checkpoints.card import model_folders
from workbench.core.atomic import write_atomically
from workbench.core.errors import InputError
from workbench.experiments.inputs.language import Inputs
from workbench.experiments.store.run_log import runs_folder

NAME = re.compile(r"[0-9a-f]{16}\.(png|csv|npy|npz|safetensors)")
DAYS, ROOM = 90, 200_000_000
"""Days without use after which a file is deleted, and bytes of all files together."""


def folder() -> Path:
    """Return the folder of the kept files."""
    return runs_folder() / "pictures"


def keep(content: bytes, ending: str = "png") -> str:
    """Keep a file, delete those that have not been used for long, and return its name."""
    name = f"{hashlib.sha256(content).hexdigest()[:16]}.{ending}"
    folder().mkdir(parents=True, exist_ok=True)
    write_atomically(folder() / name, content)
    clean()
    return name


def clean() -> None:
    """Delete files that are old, and the oldest while all together are too large."""
    now, taken = time.time(), 0
    files = [(path, path.stat()) for path in folder().iterdir() if NAME.fullmatch(path.name)]
    for path, about in sorted(files, key=lambda file: -file[1].st_mtime):
        taken += about.st_size
        if taken > ROOM or now - about.st_mtime > DAYS * 24 * 3600:
            path.unlink(missing_ok=True)


def locate_file(path: str) -> str:
    """Return the path of a kept file if `path` is the name of one, else `path`."""
    if not NAME.fullmatch(path):
        return path
    found = folder() / path
    if not found.is_file():
        if (own := beside_a_network(path)) is not None:
            return str(own)
        if Path(path).is_file():
            return path
        raise InputError(f"There is no file {path}, or no longer: uploads are kept for {DAYS} days. Upload it again.")
    os.utime(found)
    return str(found)


def beside_a_network(name: str) -> Path | None:
    """Return the file of that name that was kept as the example of a network that was added; None without one."""
    return next((path for place in model_folders() for path in place.glob(f"*/{name}")), None)


def require_kept(*inputs: str) -> None:
    """Raise an `InputError` unless all files that the inputs of a link name are kept here.

    An input text that cannot be parsed names no file, and is refused by `read_inputs`.
    """
    for text in inputs:
        parsed = Inputs.try_parse(text)
        if parsed and not all(map(is_kept, parsed.selection.files)):
            raise InputError(
                f"A page opens files that were uploaded to it in the last {DAYS} days and no other file of its "
                f"server, so {parsed.source!r} cannot be followed by this path. Upload the file beside the inputs, or "
                "use the command line."
            )


def is_kept(path: str) -> bool:
    """Test if a path leads to a file that is kept here, by its name or, as in older links, as a whole."""
    if NAME.fullmatch(path):
        return (folder() / path).is_file() or beside_a_network(path) is not None
    try:
        whole = Path(path).resolve()
    except (OSError, ValueError, RuntimeError):
        return False
    return whole.parent == folder().resolve() and NAME.fullmatch(whole.name) is not None
