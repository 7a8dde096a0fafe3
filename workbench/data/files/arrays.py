"""Named arrays stored in one `.npz` file, verified by a hash of their contents."""

import zipfile
import zlib
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workbench.core.atomic import write_atomically
from workbench.core.errors import DataError
from workbench.data.files.downloads import RemoteFile, fetch
from workbench.data.files.storage import candidates, writable_folder
from workbench.data.images.image_data import content_hash

Arrays = dict[str, NDArray[np.generic]]
BROKEN = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)


def read_arrays(
    name: str,
    keys: tuple[str, ...],
    sha256: str,
    parts: Sequence[RemoteFile],
    rebuild: Callable[[Sequence[Path]], Arrays],
) -> Arrays:
    """Read the arrays of a file, or rebuild them from public sources and save them.

    Args:
        name: Name of the `.npz` file in one of the data folders.
        keys: Names of the arrays, in the order in which they are hashed.
        sha256: Content hash of the arrays (see `content_hash`). Files with another hash are ignored.
        parts: Public files to download if no folder has the arrays. They need no checksum of their own.
        rebuild: Converts the downloaded parts to arrays.

    Raises:
        DataError: If the parts are corrupt or give arrays with another hash.
    """
    for path in candidates(name):
        stored = load(path, keys)
        if stored is not None and content_hash(stored.values()) == sha256:
            return stored
    paths = [fetch(part) for part in parts]
    origin = ", ".join(part.url for part in parts)
    advice = f"Delete {', '.join(map(str, paths))} and try again."
    try:
        arrays = rebuild(paths)
    except BROKEN as reason:
        raise DataError(
            f"The files from {origin} are corrupt ({type(reason).__name__}: {reason}). {advice}"
        ) from reason
    found = content_hash(arrays[key] for key in keys)
    if found != sha256:
        raise DataError(f"The contents of {origin} have the hash {found}, expected {sha256} ({name}). {advice}")
    np.savez_compressed(stream := BytesIO(), allow_pickle=False, **arrays)
    write_atomically(writable_folder() / name, stream.getvalue())
    return arrays


def load(path: Path, keys: tuple[str, ...]) -> Arrays | None:
    """Load the arrays; returns None if the file is corrupt or lacks one of them."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {key: stored[key] for key in keys}
    except BROKEN:
        return None
