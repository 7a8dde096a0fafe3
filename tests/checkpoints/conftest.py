"""Fixtures: a private folder of models, and an architecture registered only in these tests."""

from pathlib import Path

import pytest

from tests.checkpoints.networks import ARCHITECTURE, Tiny
from workbench.core.registry import MODELS


@pytest.fixture(autouse=True)
def tiny_is_an_architecture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODELS._items, ARCHITECTURE, Tiny)


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WORKBENCH_MODELS", str(tmp_path))
    return tmp_path
