"""Fixture of private folders for tests that download."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from workbench.data.files import storage


@dataclass(frozen=True)
class Folders:
    named: Path  # the one that WORKBENCH_DATA names
    cache: Path  # the user's cache


@pytest.fixture
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folders:
    found = Folders(tmp_path / "named", tmp_path / "cache")
    found.named.mkdir()
    monkeypatch.setenv("WORKBENCH_DATA", str(found.named))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(storage, "user_cache_path", lambda *_, **__: found.cache)
    return found
