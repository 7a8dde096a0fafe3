"""A folder of models of its own, a network only these tests know, and disks that refuse."""

import subprocess
from collections.abc import Callable, Iterator
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


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mounts a small disk with the given options; the test is skipped where that is not permitted."""
    disk = tmp_path / "disk"
    disk.mkdir()

    def tmpfs(options: str) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(disk)]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("mounting a small disk is not permitted here")
        return disk

    yield tmpfs
    while disk.is_mount():
        subprocess.run(["umount", str(disk)], check=True)
