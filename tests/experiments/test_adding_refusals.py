"""Networks that are not added, and what is left when adding one fails."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.experiments.own_networks import SOURCE
from workbench.checkpoints.card import names, seal_card
from workbench.checkpoints.store import check_parameters
from workbench.core import atomic
from workbench.core.errors import CheckpointError, InputError, WorkbenchError
from workbench.experiments.adding import add, remove


@pytest.fixture(autouse=True)
def here(network_file: str) -> str:
    return network_file


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("policy.zip", "Stable-Baselines3, whose weights are a pickle"),
        ("weights.pth", "is a pickle"),
        ("transformer_lens:gpt2", "Write a function that returns it"),
        ("some/where", "no network of this name in the cache"),
        ("nowhere_at_all:make", "There is no module 'nowhere_at_all'"),
        ("nowhere.py:make", "There is no Python file 'nowhere.py'"),
        ("{here}:", "names no function"),
        ("{here}:mak", "No function named 'mak' in .* Did you mean 'make'"),
        ("{here}:make", "gives no example of the network's inputs"),
        ("{here}:unseeded", "returns other weights each time"),
        ("{here}:nothing", "returned a int"),
        ("{here}:fails", "failed with RuntimeError: 'no weights'"),
        ("models.txt", "is no source of a network"),
        ("bad name \n", "There is no source"),
    ],
)
def test_a_source_that_cannot_be_added_is_refused_in_a_sentence(here: str, source: str, sentence: str) -> None:
    Path("models.txt").touch()
    with pytest.raises(WorkbenchError, match=sentence):
        add("mine", source.format(here=here), run_code=True)
    assert names() == []


def test_a_card_that_cannot_be_written_leaves_no_network(here: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(path: Path, content: bytes) -> None:
        if path.name == "card.json":
            raise KeyboardInterrupt
        path.write_bytes(content)

    with monkeypatch.context() as broken:
        broken.setattr(atomic, "place", stop)
        with pytest.raises(KeyboardInterrupt):
            add("mine", f"{here}:with_example", run_code=True)
    assert names() == [] and not list(Path("models/mine").glob("*.safetensors"))
    add("mine", f"{here}:with_example", run_code=True)
    assert names() == ["mine"]


def test_a_card_that_lacks_an_entry_is_not_sealed(here: str) -> None:
    add("mine", f"{here}:with_example", run_code=True)
    path = Path("models/mine/card.json")
    path.write_text(path.read_text().replace('"place"', '"pace"'))
    with pytest.raises(CheckpointError, match="needs 'place'"):
        seal_card("mine", check_parameters)


def test_a_folder_has_one_writer(here: str) -> None:
    add("mine", f"{here}:with_example", run_code=True)
    program = "import sys; from pathlib import Path; from workbench.checkpoints.writing import writing\n"
    program += "with writing(Path('models/mine')): print('held', flush=True); sys.stdin.read()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", program], **pipes) as other:  # type: ignore[call-overload]
        assert other.stdout.readline() == b"held\n"
        for change in (lambda: remove("mine"), lambda: add("mine", f"{here}:make", "x.npy", "", None, "", True, True)):
            np.save("x.npy", np.eye(3, dtype=np.float32))
            with pytest.raises(CheckpointError, match="Another process"):
                change()
        other.stdin.close()
    remove("mine")


@pytest.mark.parametrize("name", ["../mine", "", "a b", "x" * 101, ".mine", "mine@3", "object:Net"])
def test_a_name_stays_in_its_folder(here: str, name: str) -> None:
    with pytest.raises(InputError, match="cannot be the name of a model"):
        add(name, f"{here}:with_example", run_code=True)


def test_a_name_taken_by_another_module_is_refused() -> None:
    Path("json.py").write_text(SOURCE)
    with pytest.raises(InputError, match="The name 'json' is that of another module"):
        add("mine", "json.py:make", run_code=True)
