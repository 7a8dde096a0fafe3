"""Fixtures: tiny models and toy analyses, with a private store for each test."""

import sys
from pathlib import Path

import pytest

from tests.experiments.own_networks import SOURCE
from tests.experiments.tiny_models import calls, gap, save_tiny_models, share
from workbench.core.registry import ANALYSES


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    save_tiny_models(folder)
    return folder


@pytest.fixture
def workspace(tiny_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with the models and the toy analyses at hand and an empty store."""
    monkeypatch.setenv("WORKBENCH_MODELS", str(tiny_models))
    monkeypatch.setenv("WORKBENCH_RUNS", str(tmp_path / "runs"))
    monkeypatch.setitem(ANALYSES._items, "share", share)
    monkeypatch.setitem(ANALYSES._items, "gap", gap)
    monkeypatch.chdir(tmp_path)
    calls.clear()
    return tmp_path


@pytest.fixture
def network_file(workspace: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name of a module of networks in the current folder, and an empty folder for those that are added."""
    monkeypatch.setenv("WORKBENCH_MODELS", str(workspace / "models"))
    monkeypatch.setattr(sys, "path", list(sys.path))
    name = f"nets_{abs(hash(request.node.nodeid))}"
    (workspace / f"{name}.py").write_text(SOURCE)
    return name
