"""Trained networks of an installed package, whose weights are fetched by checksum on first use.

A wheel holds cards, curves and tokenizers. `weights.json`, written when the wheel is built, names every file of weights
with its size, its sha256 and its header. The files themselves are read from the folder or the http address in
$WORKBENCH_MODELS_URL, which is laid out like `models/` of a checkout, or from the package
interpretability-workbench-models.
"""

from __future__ import annotations

import json
import os
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from workbench.checkpoints.provenance import file_sha256
from workbench.checkpoints.sealed import header_of
from workbench.core.errors import CheckpointError

FOLDER = Path(__file__).resolve().parents[1] / "models"
"""Folder of the networks of an installed package; a checkout has none."""
INDEX = "weights.json"
VARIABLE = "WORKBENCH_MODELS_URL"
WEIGHTS_PACKAGE = "workbench_models"
WEIGHTS_DISTRIBUTION = "interpretability-workbench-models"


@cache
def index_of(folder: Path) -> dict[str, dict[str, Any]]:
    """Read `sha256`, `bytes` and `about` of a package's files of weights, by their path in the folder."""
    path = folder / INDEX
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def entry_of(path: Path) -> dict[str, Any] | None:
    """Return the package's entry for a file of weights; None for other files."""
    if not path.is_relative_to(FOLDER):
        return None
    return index_of(FOLDER).get(path.relative_to(FOLDER).as_posix())


def local_copy(path: Path) -> Path:
    """Return the file itself, or a fetched copy of the package's file of weights.

    Raises:
        CheckpointError: If there is no source of the weights, or it holds other ones.
        DataError: If the download fails.
    """
    entry = entry_of(path)
    if path.is_file() or entry is None:
        return path
    name = path.relative_to(FOLDER).as_posix()
    source = os.environ.get(VARIABLE, "").rstrip("/") or installed_weights()
    if urlsplit(source).scheme in ("http", "https"):
        from workbench.data.files.downloads import RemoteFile, fetch

        local = f"{name.partition('/')[0]}_{entry['sha256'][:16]}.safetensors"
        return fetch(RemoteFile(local, f"{source}/{quote(name)}", entry["sha256"]))
    if not source:
        raise CheckpointError(f"The weights {name} are not part of the installed package. {advice(entry)}")
    place = unquote(urlsplit(source).path) if source.startswith("file://") else source
    found = Path(place).expanduser() / name
    if not found.is_file():
        raise CheckpointError(f"There are no weights {name} in {place}. {advice(entry)}")
    if file_sha256(found) != entry["sha256"]:
        raise CheckpointError(
            f"{found} has another sha256 than the card in the package, {entry['sha256'][:12]}.... {advice(entry)}"
        )
    return found


def advice(entry: dict[str, Any]) -> str:
    """Return the sentence that tells a user where to get the weights."""
    return (
        f"Set {VARIABLE} to the folder or http address that holds the networks of this version "
        f"({entry['bytes'] / 1e6:.2f} MB are fetched), or install {WEIGHTS_DISTRIBUTION}."
    )


def installed_weights() -> str:
    """Return the folder of the package of weights; "" if it is not installed."""
    found = find_spec(WEIGHTS_PACKAGE)
    return next(iter(found.submodule_search_locations or ()), "") if found else ""


def weights_sha256(path: Path) -> str:
    """Return the sha256 of a file of weights without fetching it; "" if there is none."""
    entry = None if path.is_file() else entry_of(path)
    return entry["sha256"] if entry else file_sha256(path)


def weights_header(path: Path) -> dict[str, Any]:
    """Read the metadata of a file of weights without fetching it."""
    entry = None if path.is_file() else entry_of(path)
    return entry["about"] if entry else header_of(path)


def weights_in(folder: Path) -> list[str]:
    """List the files of weights in a folder, including those not fetched yet."""
    names = {path.name for path in folder.glob("*.safetensors")}
    if folder.is_relative_to(FOLDER):
        start = f"{folder.relative_to(FOLDER).as_posix()}/"
        rest = (name.removeprefix(start) for name in index_of(FOLDER) if name.startswith(start))
        names |= {name for name in rest if "/" not in name}
    return sorted(names)


def require_own(folder: Path) -> None:
    """Raise CheckpointError if a folder is part of the installed package, which is never changed."""
    if folder.resolve().is_relative_to(FOLDER):
        raise CheckpointError(
            f"{folder} is part of the installed package and is not changed. Save to another folder (--folder)."
        )
