"""Tests of data folders and failed writes."""

from pathlib import Path

import pytest

from tests.data.conftest import Folders
from workbench.data.files.storage import candidates, folders, write_atomically


def test_the_named_folder_is_searched_before_the_cache(own_folders: Folders) -> None:
    own_folders.cache.mkdir()
    for folder in (own_folders.named, own_folders.cache):
        (folder / "x").touch()
    assert [path.parent for path in candidates("x")] == [own_folders.named, own_folders.cache]


def test_without_the_variable_only_the_cache_is_searched(own_folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORKBENCH_DATA")
    assert folders() == [own_folders.cache]


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, lambda stream: stream.write(b"old"))

    def fail(stream: object) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, fail)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == b"old"
