"""Tests of downloads from a local server: resumption, verification, offline and read-only folders."""

import hashlib
from pathlib import Path

import pytest

from tests.data.conftest import Folders
from tests.data.loopback import Loopback, serving
from workbench.core.errors import DataError
from workbench.data.files.downloads import CHUNK, RemoteFile, fetch

CONTENT = bytes(range(256)) * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def remote(server: Loopback) -> RemoteFile:
    return RemoteFile("data.bin", f"{server.url}/data.bin", SHA256)


def test_a_file_is_downloaded_once_and_then_found(own_folders: Folders) -> None:
    with serving(Loopback({"data.bin": CONTENT})) as server:
        path = fetch(remote(server))
        assert fetch(remote(server)) == path
    assert path == own_folders.named / "data.bin"
    assert path.read_bytes() == CONTENT
    assert len(server.asked) == 1


def test_a_file_put_there_by_hand_is_used_without_any_connection(own_folders: Folders) -> None:
    own_folders.cache.mkdir()
    (own_folders.cache / "data.bin").write_bytes(CONTENT)
    assert fetch(RemoteFile("data.bin", "http://127.0.0.1:1/data.bin", SHA256)).parent == own_folders.cache


def test_a_connection_that_breaks_goes_on_where_it_stopped(own_folders: Folders) -> None:
    with serving(Loopback({"data.bin": CONTENT}, break_at=[CHUNK, 2 * CHUNK])) as server:
        assert fetch(remote(server)).read_bytes() == CONTENT
    assert server.asked == ["", f"bytes={CHUNK}-", f"bytes={3 * CHUNK}-"]


def test_a_download_given_up_goes_on_at_the_next_call(own_folders: Folders) -> None:
    with serving(Loopback({"data.bin": CONTENT}, break_at=[CHUNK] * 3)) as server:
        with pytest.raises(DataError, match=r"Could not download data\.bin"):
            fetch(remote(server))
        assert (own_folders.named / "data.bin.part").stat().st_size == 3 * CHUNK
        assert fetch(remote(server)).read_bytes() == CONTENT
    assert server.asked[-1] == f"bytes={3 * CHUNK}-"
    assert [path.name for path in own_folders.named.iterdir()] == ["data.bin"]


def test_a_server_that_cannot_resume_is_asked_for_all_of_it(own_folders: Folders) -> None:
    with serving(Loopback({"data.bin": CONTENT}, break_at=[CHUNK], ranges=False)) as server:
        assert fetch(remote(server)).read_bytes() == CONTENT


@pytest.mark.parametrize("extra", [0, 10], ids=["whole", "too long"])
def test_a_part_that_needs_nothing_more_is_used_or_replaced(own_folders: Folders, extra: int) -> None:
    (own_folders.named / "data.bin.part").write_bytes(CONTENT + bytes(extra))
    with serving(Loopback({"data.bin": CONTENT})) as server:
        assert fetch(remote(server)).read_bytes() == CONTENT


def test_a_corrupt_file_is_refused_and_not_kept(own_folders: Folders) -> None:
    with serving(Loopback({"data.bin": CONTENT[:-1] + b"?"})) as server:
        with pytest.raises(DataError, match=f"sha256 is not {SHA256}.*deleted"):
            fetch(remote(server))
        assert list(own_folders.named.iterdir()) == []
        server.files["data.bin"] = CONTENT
        assert fetch(remote(server)).read_bytes() == CONTENT


def test_a_wrong_file_put_by_hand_is_replaced(own_folders: Folders) -> None:
    (own_folders.named / "data.bin").write_bytes(b"other")
    with serving(Loopback({"data.bin": CONTENT})) as server:
        assert fetch(remote(server)).read_bytes() == CONTENT


def test_offline_the_error_names_the_address_the_folder_the_variable_and_the_wrong_file(own_folders: Folders) -> None:
    (own_folders.named / "data.bin").write_bytes(b"other")
    with pytest.raises(DataError) as error:
        fetch(RemoteFile("data.bin", "http://127.0.0.1:1/data.bin", SHA256))
    for hint in ("http://127.0.0.1:1/data.bin", str(own_folders.cache), "WORKBENCH_DATA", "with other contents"):
        assert hint in str(error.value)


def test_an_address_without_the_file_is_a_data_error(own_folders: Folders) -> None:
    with serving(Loopback({})) as server, pytest.raises(DataError, match="404"):
        fetch(remote(server))


def test_nothing_is_written_to_a_read_only_folder(own_folders: Folders) -> None:
    own_folders.named.chmod(0o555)
    with serving(Loopback({"data.bin": CONTENT})) as server:
        assert fetch(remote(server)) == own_folders.cache / "data.bin"
    own_folders.named.chmod(0o755)
    assert list(own_folders.named.iterdir()) == []


def test_without_any_folder_to_write_to_the_error_names_both(own_folders: Folders, tmp_path: Path) -> None:
    own_folders.named.chmod(0o555)
    own_folders.cache.write_text("a file where the folder should be")
    with pytest.raises(DataError, match="WORKBENCH_DATA to a writable folder"):
        fetch(RemoteFile("data.bin", "http://127.0.0.1:1/data.bin", SHA256))
    own_folders.named.chmod(0o755)
