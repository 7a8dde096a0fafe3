"""Tests of a plug-in package that extends the workbench through entry points alone."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
Call = Callable[..., str]
LINES = {
    "vit.py": 99, "logit_lens.py": 49, "integrated_gradients.py": 71, "shapes_vit.py": 20, "lens_page.py": 20,
    "noise.py": 40,
}  # fmt: skip
"""The most lines that each addition may need."""


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the package is installed, and nothing else."""
    folder = tmp_path_factory.mktemp("site")
    words = ["install", "--no-deps", "--no-index", "--no-build-isolation", "--target", str(folder)]
    source = tmp_path_factory.mktemp("source") / "plugin"
    source.mkdir()
    (source / "pyproject.toml").write_text((HERE / "pyproject.toml").read_text())
    (source / "workbench_extras").symlink_to(HERE / "workbench_extras")
    subprocess.run([sys.executable, "-m", "pip", *words, str(source)], check=True, capture_output=True)
    return folder


@pytest.fixture
def call(site: Path, tmp_path: Path) -> Call:
    """Runs Python with the package installed beside the workbench."""

    def run(*words: str, check: bool = True) -> str:
        path = os.pathsep.join([str(site), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        done = subprocess.run(
            [sys.executable, *words], cwd=tmp_path if words[:2] != ("-m", "pytest") else ROOT, capture_output=True,
            env=os.environ | {"PYTHONPATH": path}, text=True, check=False, stdin=subprocess.DEVNULL, timeout=500,
        )  # fmt: skip
        assert done.returncode == 0 or not check, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    return run


def lines_of(name: str) -> int:
    return len((HERE / "workbench_extras" / name).read_text(encoding="utf-8").splitlines())


def test_an_addition_needs_few_lines(capsys: pytest.CaptureFixture[str]) -> None:
    needed = {name: lines_of(name) for name in LINES}
    with capsys.disabled():
        print(f"\nlines of each addition: {needed}")
    assert {name: n for name, n in needed.items() if n > LINES[name]} == {}
    files = {path.name for path in (HERE / "workbench_extras").glob("*.py")}
    assert files == {"__init__.py", *LINES}


@pytest.mark.slow
def test_without_the_package_nothing_of_it_is_known() -> None:
    from workbench.core.registry import ANALYSES, MODELS, RECIPES

    assert not {"logit_lens", "integrated_gradients", "vit", "shapes_vit"} & {*ANALYSES, *MODELS, *RECIPES}


STUDY = """
import os, workbench
from workbench.cli import status
os.environ["WORKBENCH_MODELS"] = "models"
for kind in ("analyses", "architectures", "recipes"):
    assert status(["list", kind]) == 0
assert status(["run", "integrated_gradients", "--help"]) == 0
status("train shapes_vit --set steps=2 --folder models/shapes_vit".split())  # which misses its target
asked = {"model": "shapes_vit", "inputs": "test:0:4"}
lens = workbench.run("logit_lens", **asked)
assert lens.hooks[-1] == "output" and "blocks.0.hook_resid_post" in lens.hooks
parts = workbench.run("integrated_gradients", hook="hook_embed", steps=64, **asked)
assert parts.attribution.shape == (32, 4) and parts.gap.abs().max() < 0.01 * parts.attribution.sum(0).abs().max()
noise = workbench.run("statistics", model="shapes_vit", inputs="noise:0:4")
circuit = workbench.run("circuit", method="eap", metric="signed_logit_difference", **asked)
assert status(["list", "runs"]) == 0 and status(["list", "models"]) == 0
print(workbench.figure(lens).layout.title.text, len(workbench.table(parts)), len(circuit.sizes))
"""


@pytest.mark.slow
def test_what_was_added_is_listed_trained_run_stored_and_drawn(call: Call, tmp_path: Path) -> None:
    out = call("-c", STUDY)
    for name in (
        "logit_lens",
        "integrated_gradients",
        "vit",
        "shapes_vit",
        "--steps",
        "points on the line",
        "LogitLens",
    ):
        assert name in out
    assert out.count("integrated_gradients") >= 3  # as an analysis, in its help, and as a stored run
    assert json.loads((tmp_path / "models" / "shapes_vit" / "card.json").read_text())["architecture"] == "vit"


VISIT = """
from app.state import jobs
from tests.app.pages import open_page
jobs.PATIENCE = 100.0
for name in ("lens_by_model", "logit_lens"):
    page = open_page(name, {"m": "digits_mlp"}, timeout=300)
    assert not page.exception and not page.error, [e.value for e in (*page.exception, *page.error)]
    print(name, page.title[0].value, [m.value for m in page.metric], len(page.get("plotly_chart")))
"""


@pytest.mark.slow
def test_a_technique_has_a_page_and_a_page_may_be_added(call: Call) -> None:
    own, generic = call("-c", VISIT).splitlines()[-2:]
    assert own.startswith("lens_by_model Lens by model ['2']") and own.endswith(" 1")
    assert generic.startswith("logit_lens Logit lens") and generic.endswith(" 1")


@pytest.mark.slow
def test_the_tests_over_the_registries_take_it_in(call: Call) -> None:
    places = ("tests/zoo/test_conformance.py", "tests/core/test_graph.py", "tests/test_registries.py")
    chosen = "vit or lens-digits_mlp or gradients-shapes_cnn or says_what or words"
    out = call("-m", "pytest", "-q", "-p", "no:cacheprovider", *places, "-k", chosen)
    passed = re.search(r"(\d+) passed", out)
    assert passed and int(passed[1]) >= 46 and "failed" not in out
