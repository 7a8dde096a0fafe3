"""Named arrays in one `.npz` file, checked by what they hold and not by how they are packed."""

import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workbench.core.errors import DataError
from workbench.data.downloads import RemoteFile, fetch
from workbench.data.image_data import content_hash
from workbench.data.storage import candidates, writable_folder, write_whole

Arrays = dict[str, NDArray[np.generic]]
BROKEN = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)


def read_arrays(
    name: str,
    keys: tuple[str, ...],
    sha256: str,
    parts: Sequence[RemoteFile],
    rebuild: Callable[[Sequence[Path]], Arrays],
) -> Arrays:
    """The arrays of the file `name` on this machine; rebuilt from its public `parts` and kept when no folder has them.

    `sha256` is the content hash of the arrays in the order of `keys`: a file of other contents is passed over, and
    parts that give other contents are an error. So the parts themselves need no checksum.
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
        raise DataError(f"What came from {origin} is broken ({type(reason).__name__}: {reason}). {advice}") from reason
    found = content_hash(arrays[key] for key in keys)
    if found != sha256:
        raise DataError(f"{origin} gave other contents than {name}: hash {found}, expected {sha256}. {advice}")
    write_whole(writable_folder() / name, lambda stream: np.savez_compressed(stream, allow_pickle=False, **arrays))
    return arrays


def load(path: Path, keys: tuple[str, ...]) -> Arrays | None:
    """The arrays, or None when the file is not whole or lacks one."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {key: stored[key] for key in keys}
    except BROKEN:
        return None
