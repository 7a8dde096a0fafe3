"""Tests of the built wheel, installed and used without this checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from tests.cli.test_dashboard import free_port

ROOT = Path(__file__).parents[2]
LARGEST = 10_000_000
"""Bytes that a wheel may have."""
ABLATION = ("run", "ablation", "--model", "digits_mlp", "--hook", "blocks.1.hook_post", "--inputs", "test:0:8")
PAGE = """
import sys
from streamlit.testing.v1 import AppTest
from workbench.cli.dashboard import entry_script
sys.path.insert(0, str(entry_script().parents[1]))
page = AppTest.from_file(str(entry_script()), default_timeout=120).run()
print([error.value for error in page.exception], page.title[0].value)
"""
pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel in it, and an empty folder to work in."""

    python: Path
    packages: Path
    folder: Path

    def surroundings(self, source: str = "") -> dict[str, str]:
        """Environment variables without anything of this checkout; user folders lie in the working folder."""
        kept = {n: v for n, v in os.environ.items() if not n.startswith(("WORKBENCH_", "PYTHON", "XDG_"))}
        own = {"HOME": str(self.folder / "home"), "WORKBENCH_RUNS": str(self.folder / "runs")}
        return kept | own | ({"WORKBENCH_MODELS_URL": source} if source else {})

    def call(self, *words: str, source: str = "") -> subprocess.CompletedProcess[str]:
        """A command of the environment's Python."""
        return subprocess.run(
            [str(self.python), *words], cwd=self.folder, env=self.surroundings(source), capture_output=True, text=True,
            check=False, stdin=subprocess.DEVNULL, timeout=300,
        )  # fmt: skip

    def workbench(self, *words: str, source: str = "") -> str:
        """What a command prints; it must succeed."""
        done = self.call(str(self.python.with_name("workbench")), *words, source=source)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (made,) = folder.iterdir()
    return made


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel; everything else is read from this one, without its editable install."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    packages = site_packages(folder)
    (packages / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return folder


@pytest.fixture
def installed(environment: Path, tmp_path: Path) -> Installed:
    return Installed(environment / "bin" / "python", site_packages(environment), tmp_path)


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    """An http address with the checkout's models, and the paths that were asked for."""
    asked: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            asked.append(self.path)

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(ROOT / "models"))) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}", asked
        running.shutdown()


def site_packages(environment: Path) -> Path:
    (folder,) = environment.glob("lib/python*/site-packages")
    return folder


def test_a_wheel_is_small_and_has_one_name_at_top_level(wheel: Path) -> None:
    files = zipfile.ZipFile(wheel).namelist()
    assert wheel.stat().st_size < LARGEST
    assert {name.partition("/")[0] for name in files} == {"workbench", "interpretability_workbench-0.1.0.dist-info"}
    cards = {path.parent.name for path in (ROOT / "models").glob("*/card.json")}
    assert cards == {name.split("/")[2] for name in files if name.endswith("card.json")}
    assert not [name for name in files if name.startswith("workbench/models/") and name.endswith(".safetensors")]


def test_models_are_listed_and_curves_are_read_without_weights(installed: Installed) -> None:
    listed = json.loads(installed.workbench("list", "--json"))
    assert {row["name"] for row in listed} == {path.parent.name for path in (ROOT / "models").glob("*/card.json")}
    code = (
        "from workbench.checkpoints import card; import workbench\n"
        "assert str(workbench.__path__[0]).endswith('site-packages/workbench')\n"
        "print(len(card.read_curve('digits_mlp').step), card.steps('induction_gpt'))"
    )
    from workbench.checkpoints.card import read_curve, steps

    assert installed.call("-P", "-c", code).stdout.split(maxsplit=1) == [
        str(len(read_curve("digits_mlp").step)),
        f"{steps('induction_gpt')}\n",
    ]


def test_an_analysis_downloads_the_weights_it_needs_once(installed: Installed, server: tuple[str, list[str]]) -> None:
    address, asked = server
    installed.workbench(*ABLATION, source=address)
    assert asked == ["/digits_mlp/weights.safetensors"]
    code = "import workbench; print(workbench.load('digits_mlp').card.seed, workbench.load('digits_mlp').training)"
    assert installed.call("-P", "-c", code, source=address).stdout.split()[1] == "False"
    assert asked == ["/digits_mlp/weights.safetensors"]


def test_the_dashboard_answers_in_a_folder_with_an_app_of_its_own(installed: Installed) -> None:
    (installed.folder / "app").mkdir()
    (installed.folder / "app" / "__init__.py").write_text("raise RuntimeError('not the dashboard')\n")
    port = free_port()
    command = [str(installed.python.with_name("workbench")), "app", "--headless", "--port", str(port)]
    with subprocess.Popen(command, cwd=installed.folder, env=installed.surroundings(), text=True) as server:
        try:
            assert answer(f"http://localhost:{port}/_stcore/health") == "ok"
            assert "<title>" in answer(f"http://localhost:{port}/")
        finally:
            server.terminate()
    shown = installed.call("-P", "-c", PAGE, source=str(ROOT / "models"))
    assert shown.stdout.splitlines()[-1:] == ["[] Interpretability workbench"], shown.stderr


def answer(address: str) -> str:
    """The body of a page, once the server has started."""
    for _ in range(600):
        try:
            with urlopen(address, timeout=10) as response:
                return response.read().decode()
        except URLError:
            time.sleep(0.1)
    raise AssertionError(f"{address} did not answer")
