"""JSON files whose last field is the hash of the file, so that every changed bit is detected."""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from workbench.core.errors import CheckpointError, ConfigError
from workbench.core.reading import read_json

FIELD = "file_sha256"
BLANK = "0" * 64
"""Placeholder for the hash while the hash is computed."""
SEAL = re.compile(rb'"file_sha256": "([0-9a-f]{64})"\n}\n\Z')


def seal(table: Mapping[str, Any]) -> bytes:
    """Write a JSON object with the hash of the text as its last field."""
    text = json.dumps({**table, FIELD: BLANK}, indent=2, ensure_ascii=False) + "\n"
    blank = text.encode()
    found = SEAL.search(blank)
    assert found is not None
    return blank[: found.start(1)] + hashlib.sha256(blank).hexdigest().encode() + blank[found.end(1) :]


def unseal(content: bytes, where: str, checked: bool = True, required: bool = False) -> dict[str, Any]:
    """Read a JSON object and verify and remove its hash.

    Args:
        content: Content of the file. Files of earlier versions have no hash and are not verified.
        where: Names the file in errors.
        checked: False to ignore the hash.
        required: Refuse files without a hash, for files that no earlier version wrote.

    Raises:
        ConfigError: If the hash does not match, or the content is not a JSON object.
        UnicodeDecodeError: If the content is not text.
    """
    table = read_json(content.decode("utf-8-sig"), where)
    if not isinstance(table, dict):
        raise ConfigError(f"{where} should be an object, not {type(table).__name__}.")
    stated = table.pop(FIELD, None)
    if stated is None and required:
        raise ConfigError(f"{where} was altered: it has no {FIELD}.")
    if stated is None or not checked:
        return table
    found = SEAL.search(content)
    blank = b"" if found is None else content[: found.start(1)] + BLANK.encode() + content[found.end(1) :]
    if hashlib.sha256(blank).hexdigest() != stated:
        raise ConfigError(f"{where} was altered: its {FIELD} is not that of its text.")
    return table


def header_of(path: Path) -> dict[str, Any]:
    """Read the workbench's metadata in the header of a safetensors file, without its tensors."""
    try:
        with safe_open(path, framework="numpy") as file:
            return json.loads((file.metadata() or {})["workbench"])
    except (OSError, SafetensorError, ValueError, LookupError) as error:
        raise CheckpointError(
            f"{path} has no readable header: {error}. Restore it, or train the model again."
        ) from error
