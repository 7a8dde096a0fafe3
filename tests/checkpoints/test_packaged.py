"""Tests of packaged networks: weights by checksum from a folder or a URL, overridden by the user's."""

from __future__ import annotations

import importlib.util
import json
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType

import pytest

from workbench.checkpoints import card as cards
from workbench.checkpoints import packaged
from workbench.checkpoints.provenance import file_sha256
from workbench.checkpoints.store import load, save
from workbench.core.errors import CheckpointError, DataError
from workbench.experiments.store.dependencies import model_facts

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "models"
WEIGHTS = "digits_mlp/weights.safetensors"


def build_hook() -> ModuleType:
    """The module that a build of the wheel runs, which is in no package."""
    spec = importlib.util.spec_from_file_location("build_hook", ROOT / "packaging" / "build_hook.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package as a wheel holds it: two networks without their weights, and the index of these."""
    source, folder = tmp_path / "source", tmp_path / "site-packages" / "workbench" / "models"
    for name in ("digits_mlp", "cartpole_ppo"):
        shutil.copytree(MODELS / name, source / name)
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("*.safetensors", "steps"))
    (folder / packaged.INDEX).write_text(json.dumps(build_hook().index(source)))
    monkeypatch.setattr(packaged, "FOLDER", folder)
    monkeypatch.delenv("WORKBENCH_MODELS", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv(packaged.VARIABLE, str(source))
    packaged.index_of.cache_clear()
    yield folder
    packaged.index_of.cache_clear()


@pytest.fixture
def address(package: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The requests that reach an http server of the weights, which the package is set to use."""
    asked: list[str] = []
    source = str(package.parents[2] / "source")

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            asked.append(self.path)

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=source)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv(packaged.VARIABLE, f"http://127.0.0.1:{server.server_port}/")
        yield asked
        server.shutdown()


def test_networks_cards_curves_and_steps_are_known_without_weights(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(packaged.VARIABLE)
    assert cards.names() == ["cartpole_ppo", "digits_mlp"]
    assert cards.read_curve("digits_mlp").step and cards.steps("cartpole_ppo") == [0, 10, 30]
    assert cards.read_card("digits_mlp").weights_sha256 == file_sha256(MODELS / WEIGHTS)


def test_a_network_has_the_same_identity_in_a_package_and_in_the_checkout(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(packaged.VARIABLE)
    inside = [model_facts(name) for name in ("digits_mlp", "cartpole_ppo@10")]
    monkeypatch.setenv("WORKBENCH_MODELS", str(MODELS))
    assert inside == [model_facts(name) for name in ("digits_mlp", "cartpole_ppo@10")]


def test_an_altered_curve_is_noticed_without_weights(package: Path) -> None:
    path = package / "digits_mlp" / "curve.json"
    path.write_text(path.read_text().replace("1", "2", 1))
    with pytest.raises(CheckpointError, match="altered"):
        cards.read_curve("digits_mlp")


def test_weights_and_steps_are_read_from_a_folder(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load("digits_mlp").card.weights_sha256 == file_sha256(MODELS / WEIGHTS)
    kept = load("cartpole_ppo", step=10).state_dict()
    monkeypatch.setenv("WORKBENCH_MODELS", str(MODELS))
    assert all(kept[name].equal(tensor) for name, tensor in load("cartpole_ppo", step=10).state_dict().items())
    assert not list(package.rglob("*.safetensors"))


def test_weights_are_downloaded_when_they_are_first_used_and_once(package: Path, address: list[str]) -> None:
    assert cards.names() and model_facts("digits_mlp") and address == []
    for _ in range(2):
        load("digits_mlp")
    assert address == [f"/{WEIGHTS}"]
    load("cartpole_ppo", step=10)
    assert len(address) == 3 and address[2].endswith("/10.safetensors")


def test_an_interrupted_download_is_resumed(package: Path, address: list[str], tmp_path: Path) -> None:
    sha256, content = file_sha256(MODELS / WEIGHTS), (MODELS / WEIGHTS).read_bytes()
    part = tmp_path / "data" / f"digits_mlp_{sha256[:16]}.safetensors.part"
    part.parent.mkdir()
    part.write_bytes(content[:1000])
    load("digits_mlp")
    assert part.with_suffix("").read_bytes() == content and not part.exists()


def test_other_weights_are_refused_from_a_folder_and_from_an_address(
    package: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    path = package.parents[2] / "source" / WEIGHTS
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    with pytest.raises(CheckpointError, match=r"another sha256.*WORKBENCH_MODELS_URL"):
        load("digits_mlp")
    request.getfixturevalue("address")
    with pytest.raises(DataError, match="sha256"):
        load("digits_mlp")


def test_without_a_source_the_error_says_where_weights_come_from(
    package: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(packaged.VARIABLE, str(tmp_path / "absent"))
    with pytest.raises(CheckpointError, match=r"no weights digits_mlp/weights.safetensors in .*absent"):
        load("digits_mlp")
    monkeypatch.delenv(packaged.VARIABLE)
    with pytest.raises(CheckpointError, match=r"WORKBENCH_MODELS_URL.*0\.03 MB.*interpretability-workbench-models"):
        load("digits_mlp")


def test_a_package_of_weights_is_a_source(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(packaged.VARIABLE)
    (package.parents[2] / "source").rename(package.parents[2] / packaged.WEIGHTS_PACKAGE)
    monkeypatch.syspath_prepend(package.parents[2])
    assert not load("digits_mlp").training


def test_a_users_network_lies_over_the_packages(package: Path, tmp_path: Path) -> None:
    own = cards.models_folder()
    assert own == tmp_path / "share" / "workbench" / "models"
    for name in ("digits_mlp", "mine"):
        shutil.copytree(MODELS / "digits_mlp", own / name)
    assert cards.names() == ["cartpole_ppo", "digits_mlp", "mine"]
    assert cards.model_folder("digits_mlp") == own / "digits_mlp"
    assert cards.model_folder("cartpole_ppo") == package / "cartpole_ppo"


def test_the_package_is_never_written_to(package: Path) -> None:
    model = load("digits_mlp")
    for write in (
        lambda: save(package / "digits_mlp", model, model.card, cards.read_curve("digits_mlp"), overwrite=True),
        lambda: cards.seal_card("digits_mlp"),
    ):
        with pytest.raises(CheckpointError, match="part of the installed package"):
            write()
