"""Fixtures and options of all tests: one torch thread, a private store, no network, optional shape checks.

`--full` adds the whole products of techniques, pages and models to the chosen pairs (`make test-full`). `--shapes`
checks the annotations of every function of the library while it runs, which takes about six times as long; `make test`
does so for the tests marked `shapes`, `make test-full` for all of them.
"""

from __future__ import annotations

import atexit
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path

import pytest
from _pytest.mark.structures import ParameterSet
from hypothesis import HealthCheck, settings
from jaxtyping import install_import_hook

os.environ["WORKBENCH_RUNS"] = tempfile.mkdtemp(prefix="workbench-runs-")
atexit.register(shutil.rmtree, os.environ["WORKBENCH_RUNS"], ignore_errors=True)
os.environ |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "WANDB_MODE": "disabled", "TQDM_DISABLE": "1"}

settings.register_profile(
    "project",
    max_examples=25,
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("project")

# The file that shows that a data set which is not in the repository is here.
DATA_FILES = {
    "mnist": "mnist.npz",
    "binary_mnist": "mnist.npz",
    "flat_mnist": "mnist.npz",
    "half_mnist": "mnist.npz",
    "cifar10": "cifar10_jpeg.npz",
    "tiny_shakespeare": "tinyshakespeare.txt",
    "english_stories": "english_stories_train.txt",
    "story_books": "english_stories_train.txt",
    "story_cloze": "english_stories_train.txt",
    "story_sounds": "english_stories_train.txt",
    "wikitext2": "wikitext2_test.txt",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer the two long forms of a test run."""
    parser.addoption("--full", action="store_true", help="run the tests marked full too: the whole products")
    parser.addoption("--shapes", action="store_true", help="check every annotation of the library while it runs")


def pytest_configure(config: pytest.Config) -> None:
    """Install the shape checks before the library is imported."""
    if config.getoption("--shapes"):
        install_import_hook("workbench", "beartype.beartype")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests marked `full` unless they are asked for."""
    if config.getoption("--full"):
        return
    left_out = [item for item in items if item.get_closest_marker("full")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("full")]


@pytest.fixture(autouse=True, scope="session")
def one_torch_thread() -> None:
    """Two workers share two cores; more threads would only wait for each other."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def no_connection_leaves_the_machine() -> Iterator[None]:
    """A test that reaches for another machine fails, with the address."""
    connect = socket.socket.connect

    def checked(self: socket.socket, address: object) -> None:
        host = address[0] if isinstance(address, tuple) else "localhost"
        if host not in ("localhost", "127.0.0.1", "::1"):
            raise OSError(f"a test tried to connect to {address!r}; tests stay on this machine")
        connect(self, address)  # type: ignore[arg-type]

    socket.socket.connect = checked  # type: ignore[method-assign]
    yield
    socket.socket.connect = connect  # type: ignore[method-assign]


def missing_data(name: str) -> str | None:
    """Why the data set cannot be read here, or None when it can."""
    from workbench.data.files.storage import candidates

    if candidates(DATA_FILES[name]):
        return None
    return f"needs the data set {name!r}: set WORKBENCH_DATA to the folder that holds {DATA_FILES[name]}"


def distinct() -> list[str]:
    """Trained networks of which no two are made alike: the first of each architecture, configuration and data set.

    What runs on one of them runs on its twins, which differ in the numbers in their weights.
    """
    from workbench.checkpoints.card import names, read_card

    cards = {name: read_card(name) for name in reversed(names())}
    made = {(card.architecture, repr(card.config), card.data.name): name for name, card in cards.items()}
    return sorted(made.values())


def representatives() -> list[str]:
    """The smallest trained network of each kind: architecture, trunk and, for one that reads tokens, type of data."""
    from workbench.checkpoints.card import read_card
    from workbench.core.registry import DATASETS

    cards = {name: read_card(name) for name in distinct()}
    kinds: dict[tuple[object, ...], str] = {}
    for name, card in sorted(cards.items(), key=lambda item: -item[1].parameters):
        data = DATASETS[card.data.name].__annotations__["return"] if "d_vocab" in card.config else ""
        kinds[card.architecture, card.config.get("trunk"), str(data)] = name
    return sorted(kinds.values())


def is_large(model: str) -> bool:
    """True for a trained network that takes seconds to ask anything: a million parameters or more."""
    from workbench.checkpoints.card import read_card

    return read_card(model).parameters >= 1_000_000


def pairs(
    rows: Iterable[str], models: Iterable[str], light: Sequence[str] = (), shapes: Collection[str] = ()
) -> list[ParameterSet]:
    """Every row with each small representative, and one row in turn with each other model; the rest are marked full.

    Of fewer than a dozen rows, not every other model gets one. A large model takes its turn among the `light` rows
    alone. Pairs of one model stand together: it is loaded once. Those of the models in `shapes` are marked so.
    """
    rows, small = list(rows), {name for name in representatives() if not is_large(name)}
    found = []
    for turn, model in enumerate(models):
        among = (light or [""]) if is_large(model) else [*rows, *[""] * (12 - len(rows))]
        whole = model in small
        for row in rows:
            chosen = whole or row == among[turn % len(among)]
            marks = [*([] if chosen else [pytest.mark.full]), *([pytest.mark.shapes] if model in shapes else [])]
            found.append(pytest.param(row, model, marks=marks))
    return found


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test marked `needs_data(name)` where the data set is missing."""
    for marker in item.iter_markers("needs_data"):
        for name in marker.args:
            if reason := missing_data(name):
                pytest.skip(reason)


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    """A running Chromium (a playwright `Browser`); the test is skipped where there is none."""
    from playwright.sync_api import sync_playwright

    from tests.browser import ARGUMENTS, MISSING, chromium

    path = chromium()
    if path is None:
        pytest.skip(MISSING)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=str(path), args=ARGUMENTS)
        yield running
        running.close()


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
