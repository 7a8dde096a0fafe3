"""Tests of writing checkpoints: steps by run, one writer per folder, and protected finished models."""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.checkpoints.networks import card, tiny
from tests.core.test_atomic import everything_in
from workbench.checkpoints.store import load, save, save_step
from workbench.checkpoints.writing import writing
from workbench.core.errors import CheckpointError
from workbench.training.curve import Curve

RUN = "r1"
CURVE = Curve([1], {"train_loss": [2.0]})


@pytest.fixture
def folder(models: Path) -> Path:
    save(models / "tiny", tiny(), replace(card(), run=RUN), CURVE)
    return models / "tiny"


def test_a_step_of_another_run_is_refused(folder: Path) -> None:
    other = save_step(folder, tiny(seed=3), 10, "r2")
    (folder / "steps" / RUN).mkdir()
    shutil.copy(other, folder / "steps" / RUN)
    with pytest.raises(CheckpointError, match="of run 'r2', not at step 10 of run 'r1'"):
        load("tiny", step=10)


def test_a_finished_model_is_replaced_only_when_asked_for_and_its_steps_go_with_it(folder: Path) -> None:
    save_step(folder, tiny(), 10, RUN)
    (folder / "steps" / "5.safetensors").write_bytes(b"of an earlier version")
    before = everything_in(folder)
    with pytest.raises(CheckpointError, match=r"a finished model \(tiny_for_tests, made by the recipe digits"):
        save(folder, tiny(seed=1), replace(card(), run="r2"), CURVE)
    assert everything_in(folder) == before
    save_step(folder, tiny(), 7, "r2")
    save(folder, tiny(seed=1), replace(card(), run="r2"), CURVE, overwrite=True)
    assert [path.relative_to(folder).as_posix() for path in folder.rglob("steps/**/*.safetensors")] == [
        "steps/r2/7.safetensors"
    ]


def test_a_folder_has_one_writer(folder: Path) -> None:
    with writing(folder):
        save(folder, tiny(), replace(card(), run=RUN), CURVE)  # the writer itself may save
        found = subprocess.run(
            [sys.executable, "-c", f"import pathlib; from workbench.checkpoints.writing import writing\n"
             f"with writing(pathlib.Path({str(folder)!r})): pass"], capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert "Another process trains or saves into" in found.stderr
    with writing(folder):  # free again
        pass


def test_steps_of_an_earlier_version_go_with_the_model_that_they_are_of(folder: Path) -> None:
    (folder / "steps").mkdir(exist_ok=True)
    (folder / "steps" / "5.safetensors").write_bytes(b"of an earlier version")
    save(folder, tiny(seed=1), card(), CURVE, overwrite=True)
    assert not list((folder / "steps").iterdir())
