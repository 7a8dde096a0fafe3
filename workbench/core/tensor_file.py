"""Tensors and metadata in one safetensors file with a hash over the whole file."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as tensors_of
from safetensors.torch import save as file_of
from torch import Tensor

from workbench.core.errors import CheckpointError

ZIP, PICKLE = b"PK\x03\x04", b"\x80"


SEAL = re.compile(rb'\\"file_sha256\\": \\"([0-9a-f]{64})\\"')
"""Pattern of the hash of the file in its header."""
BLANK = "0" * 64
"""Placeholder for the hash while it is computed."""


def pack(tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> bytes:
    """Write a safetensors file with `about` (JSON) in its header, and the hash of the whole file, header included."""
    owned = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    content = bytearray(file_of(owned, {"workbench": json.dumps({**about, "file_sha256": BLANK})}))
    place = seal_in(content)
    assert place is not None
    content[place] = seal_of(content, place).encode()
    return bytes(content)


def unpack(content: bytes, where: str, sealed: bool = False) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read the tensors and the metadata of a file.

    Args:
        content: The file.
        where: Names the file in errors.
        sealed: Refuse a file without a hash, for files whose hash is not recorded elsewhere.

    Raises:
        CheckpointError: If the file is a pickle, cut short, altered or unreadable.
    """
    refuse_pickle(content, where)
    refuse_cut(content, where)
    try:
        tensors = tensors_of(content)
        about = json.loads(header(content).get("__metadata__", {}).get("workbench", "{}"))
        stated = {name: about.pop(name) for name in ("file_sha256", "tensors_sha256") if name in about}
        place = seal_in(content)
    except (SafetensorError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise CheckpointError(f"{where} is not a readable safetensors file: {error}. Write it anew.") from error
    if "file_sha256" in stated:
        whole = place is not None and stated["file_sha256"] == seal_of(content, place)
    else:  # written by an earlier version, which vouched for the tensors alone
        whole = stated.get("tensors_sha256", None if sealed else sha256(payload(content))) == sha256(payload(content))
    if not whole:
        raise CheckpointError(f"{where} was altered: it is not the file that was written. Write it anew.")
    return tensors, about


def seal_in(content: bytes | bytearray) -> slice | None:
    """Return the position of the hash in the header."""
    found = SEAL.search(content, 8, len(content) - len(payload(content)))
    return None if found is None else slice(*found.span(1))


def seal_of(content: bytes | bytearray, place: slice) -> str:
    """Compute the hash of a file with the placeholder in place of the hash."""
    digest, view = hashlib.sha256(), memoryview(content)
    for part in (view[: place.start], BLANK.encode(), view[place.stop :]):
        digest.update(part)
    return digest.hexdigest()


def refuse_pickle(content: bytes, where: str) -> None:
    """Raise CheckpointError for files of `torch.save` and `pickle`, which can run code when they are opened."""
    pickled = content.startswith(PICKLE) and content[8:9] != b"{"
    if pickled or content.startswith(ZIP):
        raise CheckpointError(
            f"{where} is a pickle, which can run any code when it is opened; it was not opened. {WAY_OUT}"
        )


WAY_OUT = (
    "If you trust it, open it elsewhere and convert its state dict: "
    "safetensors.torch.save_file(state_dict, 'weights.safetensors')."
)


def refuse_cut(content: bytes, where: str) -> None:
    """Raise CheckpointError if the file is shorter than its header says."""
    try:
        entries = [entry for name, entry in header(content).items() if name != "__metadata__"]
        expected = len(content) - len(payload(content)) + max((e["data_offsets"][1] for e in entries), default=0)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{where} is not a safetensors file, or was cut short inside its header ({len(content)} bytes). "
            "Write it anew, or restore it."
        ) from error
    if len(content) < expected:
        raise CheckpointError(
            f"{where} was cut short: it has {len(content)} of {expected} bytes. Write it anew, or restore it."
        )


def header(content: bytes) -> dict[str, Any]:
    """Return the JSON header of a safetensors file: names, shapes, offsets and metadata."""
    return json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])


def payload(content: bytes | bytearray) -> memoryview:
    """Return the bytes of the tensors in a safetensors file."""
    return memoryview(content)[8 + int.from_bytes(content[:8], "little") :]


def sha256(content: bytes | memoryview) -> str:
    """Compute the hexadecimal SHA-256 of bytes."""
    return hashlib.sha256(content).hexdigest()
