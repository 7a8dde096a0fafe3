"""Tests of digests of the source code behind a result, on small packages."""

import os
import sys
import types
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

import workbench
from workbench.checkpoints import source_code
from workbench.checkpoints.source_code import code_of, definition_of
from workbench.core.registry import ANALYSES

FILES = {
    "plug/__init__.py": "",
    "plug/probe.py": "from typing import TYPE_CHECKING\n"
    "import numpy\nfrom . import near\nfrom .deep.inner import value\nfrom beside import helper\n"
    "if TYPE_CHECKING:\n    from plug import typed\n\nPLACE = 'plug.named:Thing'\n"
    "def analyse():\n    from plug.late import (\n        later,\n    )\n",
    "plug/near.py": "x = 1\n",
    "plug/deep/__init__.py": "",
    "plug/deep/inner.py": "value = 1\n",
    "plug/typed.py": "",
    "plug/named.py": "",
    "plug/late.py": "import csv\n",
    "plug/unused.py": "",
    "beside.py": "import beside_that\ndef helper(): ...\n",
    "beside_that.py": "",
    "plug_of_mine-1.5.dist-info/METADATA": "Metadata-Version: 2.1\nName: plug-of-mine\nVersion: 1.5\n",
    "plug_of_mine-1.5.dist-info/entry_points.txt": "[workbench.analysis]\nprobing = plug.probe:analyse\n",
}
FOLLOWED = {"plug", "plug.probe", "plug.near", "plug.deep", "plug.deep.inner", "plug.named", "plug.late",
            "beside", "beside_that"}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of modules that were there before this process began, as far as it knows."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(workbench, "STARTED", workbench.STARTED + 1e6)
    forget()
    yield tmp_path
    forget()


def forget() -> None:
    """As another process would find it."""
    source_code._SOURCES.clear()
    for cached in (source_code.locate, source_code.package_version, source_code.plugin_versions):
        cached.cache_clear()


def modules() -> dict[str, str]:
    return code_of(["plug.probe"]).modules


def test_imports_are_followed_through_a_package_and_through_local_modules(folder: Path) -> None:
    assert set(modules()) == FOLLOWED


def test_other_packages_count_by_their_version_and_a_plug_in_by_both(folder: Path) -> None:
    import numpy

    versions = code_of(["plug.probe"]).versions
    assert versions["numpy"] == numpy.__version__ and versions["plug-of-mine"] == "1.5"
    information = folder / "plug_of_mine-1.5.dist-info/METADATA"
    information.write_text(information.read_text().replace("1.5", "1.6"))
    forget()
    assert code_of(["plug.probe"]).versions == versions | {"plug-of-mine": "1.6"}


@pytest.mark.parametrize("name", sorted(FOLLOWED))
def test_a_change_of_any_of_them_changes_its_digest_alone(folder: Path, name: str) -> None:
    before = modules()
    path = folder / f"{name.replace('.', '/')}.py"
    path = path if path.exists() else folder / name.replace(".", "/") / "__init__.py"
    path.write_text(path.read_text() + "y = 2\n")
    forget()
    assert {module for module, digest in modules().items() if digest != before[module]} == {name}


def test_a_module_that_is_not_imported_makes_no_difference(folder: Path) -> None:
    before = modules()
    (folder / "plug/unused.py").write_text("x = 2\n")
    forget()
    assert modules() == before


def test_a_file_that_changed_under_the_process_has_a_digest_of_its_own(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, first = folder / "plug/near.py", modules()["plug.near"]
    path.write_text("x = 2\n")
    here = modules()["plug.near"]
    assert here == modules()["plug.near"], "the same for as long as it is the same file"
    with monkeypatch.context() as other:
        other.setattr(os, "getpid", lambda: 1)
        elsewhere = modules()["plug.near"]
    path.write_text("x = 3\n")
    again = modules()["plug.near"]
    forget()
    fresh = modules()["plug.near"]
    assert len({first, here, elsewhere, again, fresh}) == 5


def test_a_file_as_old_as_the_process_may_not_be_what_it_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = modules()
    monkeypatch.setattr(workbench, "STARTED", 0.0)
    assert not set(modules().values()) & set(first.values())


def test_what_was_typed_into_a_session_counts_with_all_that_is_defined_there(monkeypatch: pytest.MonkeyPatch) -> None:
    session = types.ModuleType("session")
    monkeypatch.setitem(sys.modules, "session", session)
    digests = []
    for text in ("def helper(): return 1", "def helper(): return 2", "scale = 3", "scale = 4",
                 "class Probe:\n def run(self): return 1", "class Probe:\n def run(self): return 2"):  # fmt: skip
        exec(text, vars(session))
        digests.append(code_of(["session"]).modules["session"])
    assert len(set(digests)) == 6 and digests[-1] == code_of(["session"]).modules["session"]


def test_functions_made_by_one_function_are_told_apart() -> None:
    def make(scale: float, power: int = 1) -> Callable[..., float]:
        def analyse(x: float, power: int = power) -> float:
            return scale * x**power

        return analyse

    assert definition_of(make(1.0)) == definition_of(make(1.0))
    assert len({definition_of(make(1.0)), definition_of(make(2.0)), definition_of(make(1.0, 2))}) == 3
    assert definition_of(partial(divmod, 2)) != definition_of(partial(divmod, 3))


def test_each_analysis_counts_its_own_module_and_what_runs_networks() -> None:
    for name in ANALYSES:
        found = code_of([ANALYSES[name]])
        assert {source_code.module_of(ANALYSES[name]), "workbench.core.hooked"} <= set(found.modules)
        assert {"torch", "python"} <= set(found.versions)
