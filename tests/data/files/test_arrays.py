"""Tests of stored arrays: hashes, and rebuilding from public files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.data.conftest import Folders
from tests.data.loopback import Loopback, serving
from workbench.core.errors import DataError
from workbench.data.files.arrays import Arrays, read_arrays
from workbench.data.files.downloads import RemoteFile
from workbench.data.images.image_data import content_hash

ARRAYS: Arrays = {"x": np.arange(6).reshape(2, 3), "y": np.array([1, 0], np.uint8)}
SHA256 = content_hash(ARRAYS.values())


def from_bytes(paths: Sequence[Path]) -> Arrays:
    return {"x": np.frombuffer(paths[0].read_bytes(), np.int64).reshape(2, 3), "y": ARRAYS["y"]}


def read(url: str = "http://127.0.0.1:1") -> Arrays:
    return read_arrays("a.npz", ("x", "y"), SHA256, [RemoteFile("x.bin", f"{url}/x.bin")], from_bytes)


def test_arrays_are_used_however_they_are_packed(own_folders: Folders) -> None:
    for save in (np.savez, np.savez_compressed):
        save(own_folders.named / "a.npz", **ARRAYS)
        assert content_hash(read().values()) == SHA256


@pytest.mark.parametrize("there", [b"", b"no archive", None], ids=["empty", "corrupt", "other contents"])
def test_a_wrong_file_is_rebuilt_from_the_public_parts(own_folders: Folders, there: bytes | None) -> None:
    if there is None:
        np.savez(own_folders.named / "a.npz", **(ARRAYS | {"x": np.zeros((2, 3), np.int64)}))
    else:
        (own_folders.named / "a.npz").write_bytes(there)
    with serving(Loopback({"x.bin": ARRAYS["x"].tobytes()})) as server:
        assert content_hash(read(server.url).values()) == SHA256
    (own_folders.named / "x.bin").unlink()
    assert content_hash(read().values()) == SHA256  # kept, so that it needs no server


@pytest.mark.parametrize("sent", [bytes(48), bytes(47)], ids=["other contents", "broken"])
def test_parts_that_give_something_else_are_named_and_nothing_is_kept(own_folders: Folders, sent: bytes) -> None:
    with serving(Loopback({"x.bin": sent})) as server, pytest.raises(DataError) as error:
        read(server.url)
    assert f"{server.url}/x.bin" in str(error.value)
    assert f"Delete {own_folders.named / 'x.bin'}" in str(error.value)
    assert not (own_folders.named / "a.npz").exists()
