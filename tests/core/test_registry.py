"""Tests of registries that several threads discover at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from workbench.core.registry import Registry

ASK_FROM_THREADS = """
import sys
from concurrent.futures import ThreadPoolExecutor
from workbench.core.registry import DATASETS, MODELS

with ThreadPoolExecutor(6) as pool:
    counts = list(pool.map(len, [DATASETS, MODELS] * 3))
sys.exit(counts != [len(DATASETS), len(MODELS)] * 3 or 0 in counts)
"""


@pytest.mark.slow
def test_threads_that_ask_a_cold_registry_at_once_all_see_everything() -> None:
    result = subprocess.run([sys.executable, "-c", ASK_FROM_THREADS], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_a_package_that_cannot_be_imported_is_an_error_each_time() -> None:
    registry: Registry[object] = Registry("thing", "workbench.there_is_no_such_package")
    for _ in range(2):
        with pytest.raises(ModuleNotFoundError):
            registry.names()


def test_names_are_those_that_every_module_of_the_package_registers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    inner = tmp_path / "things_of_a_test" / "inner"
    inner.mkdir(parents=True)
    for folder in (inner.parent, inner):
        (folder / "__init__.py").touch()
    for path, name in ((inner.parent / "one.py", "one"), (inner / "two.py", "two")):
        path.write_text(f"from tests.core.test_registry import THINGS\nTHINGS.register({name!r})(object())\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert THINGS.names() == ["one", "two"]


THINGS: Registry[object] = Registry("thing", "things_of_a_test")
