"""Tests of data folders."""

import pytest

from tests.data.conftest import Folders
from workbench.data.files.storage import candidates, folders


def test_the_named_folder_is_searched_before_the_cache(own_folders: Folders) -> None:
    own_folders.cache.mkdir()
    for folder in (own_folders.named, own_folders.cache):
        (folder / "x").touch()
    assert [path.parent for path in candidates("x")] == [own_folders.named, own_folders.cache]


def test_without_the_variable_only_the_cache_is_searched(own_folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORKBENCH_DATA")
    assert folders() == [own_folders.cache]
