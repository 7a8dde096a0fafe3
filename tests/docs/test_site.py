"""Tests of the documentation: examples run, pages build without warnings, no outgoing requests."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.test_readme import blocks, run
from workbench.core.registry import ANALYSES, MODALITIES, MODELS

ROOT = Path(__file__).parents[2]
PAGES = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md") if blocks(str(path)))
FETCHED = re.compile(r"""<(?:script|link|img|iframe|source)\b[^>]*?\b(?:src|href)=["']?((?:https?:)?//[^"'\s>]+)""")
IMPORTED = re.compile(r"""(?:@import|url\()\s*["']?((?:https?:)?//[^"')]+)""")
CANONICAL = re.compile(r'<link[^>]+rel="?(?:canonical|next|prev)"?[^>]*>')


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_every_block_of_a_page_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a page registers is forgotten afterwards."""
    for registry in (ANALYSES, MODALITIES, MODELS):
        registry.discover()
        monkeypatch.setattr(registry, "_items", dict(registry._items))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    module = ModuleType(f"docs.{Path(page).stem}")  # in which the annotations of what a page defines are looked up
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for block in blocks(page):
        run(page, block, vars(module))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("material", reason="the documentation needs Python 3.11.5")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.slow
def test_the_site_has_every_technique_and_every_public_name(site: Path) -> None:
    import workbench

    techniques = (site / "techniques.html").read_text(encoding="utf-8")
    assert {name for name in ANALYSES if f'<h2 id="{name}">' not in techniques} == set()
    sections = techniques.split("<h2 ")[1:]
    assert [section[:40] for section in sections if "<strong>Limits:</strong>" not in section] == []
    api = (site / "api.html").read_text(encoding="utf-8")
    assert {name for name in workbench.PLACES if f"workbench.{name}" not in api} == set()


@pytest.mark.slow
def test_no_page_asks_another_machine_for_anything(site: Path) -> None:
    found = {
        (path.name, address)
        for path in (*site.rglob("*.html"), *site.rglob("*.css"))
        for pattern in (FETCHED, IMPORTED)
        for address in pattern.findall(CANONICAL.sub("", path.read_text(encoding="utf-8")))
    }
    assert found == set()


def test_the_documentation_names_no_folder_of_a_machine() -> None:
    texts = {
        path: path.read_text(encoding="utf-8")
        for path in (ROOT / "docs").rglob("*")
        if path.suffix in (".md", ".ipynb")
    }
    assert [
        path.name for path, text in texts.items() if re.search(r"(?<![\w.])/(?:work|home|tmp|root|Users)/", text)
    ] == []
