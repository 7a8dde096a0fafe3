"""Tensors and what is said about them, in one safetensors file that notices every changed bit."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as tensors_of
from safetensors.torch import save as file_of
from torch import Tensor

from workbench.core.errors import CheckpointError

ZIP, PICKLE = b"PK\x03\x04", b"\x80"


def pack(tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> bytes:
    """A safetensors file with `about` (JSON) and the hash of the tensors' bytes in its header."""
    owned = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    hashed = {**about, "tensors_sha256": sha256(payload(file_of(owned)))}
    return file_of(owned, {"workbench": json.dumps(hashed)})


def unpack(content: bytes, where: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of a file and what its header says about them; `where` names the file in errors."""
    refuse_pickle(content, where)
    refuse_cut(content, where)
    try:
        tensors = tensors_of(content)
        about = json.loads(header(content).get("__metadata__", {}).get("workbench", "{}"))
    except (SafetensorError, ValueError, KeyError, AttributeError) as error:
        raise CheckpointError(f"{where} is not a readable safetensors file: {error}. Write it anew.") from error
    if about.get("tensors_sha256", sha256(payload(content))) != sha256(payload(content)):
        raise CheckpointError(f"{where} was altered: its tensors are not those it was written with. Write it anew.")
    return tensors, about


def refuse_pickle(content: bytes, where: str) -> None:
    """Raises on what `torch.save` and `pickle` write: opening those runs whatever code is inside."""
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
    """Raises when the file ends before its header says it does."""
    try:
        entries = [entry for name, entry in header(content).items() if name != "__metadata__"]
        expected = len(content) - len(payload(content)) + max((e["data_offsets"][1] for e in entries), default=0)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{where} is no safetensors file, or was cut short inside its header ({len(content)} bytes). "
            "Write it anew, or restore it."
        ) from error
    if len(content) < expected:
        raise CheckpointError(
            f"{where} was cut short: it has {len(content)} of {expected} bytes. Write it anew, or restore it."
        )


def header(content: bytes) -> dict[str, Any]:
    """The JSON at the start of a safetensors file: names, shapes and places, and the metadata."""
    return json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])


def payload(content: bytes) -> memoryview:
    """The tensors' bytes of a safetensors file."""
    return memoryview(content)[8 + int.from_bytes(content[:8], "little") :]


def sha256(content: bytes | memoryview) -> str:
    """The hexadecimal SHA-256 of some bytes."""
    return hashlib.sha256(content).hexdigest()
