"""Tests of trainings in the run log: progress, cancellation and continuation."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import torch

from workbench.checkpoints.store import load_folder
from workbench.core.errors import Cancelled, ConfigError, InputError, TrainingError
from workbench.core.registry import RECIPES
from workbench.experiments.pipelines.checking import check
from workbench.experiments.pipelines.search import SearchPlan, ranges_from
from workbench.experiments.pipelines.training_runs import curve_so_far, key_of, train
from workbench.experiments.questions.settings import from_words
from workbench.experiments.store.run_log import RunLog

SETTINGS = {"steps": 40, "checkpoint_every": 10, "log_every": 5, "evaluate_every": 0}


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WORKBENCH_RUNS", str(tmp_path / "runs"))
    return tmp_path


def status_of(folder: Path) -> str:
    table = RunLog().runs()
    return table[table["key"] == key_of("train", str(folder.resolve()))].iloc[0]["status"]


def test_a_training_cancelled_in_the_log_stops_and_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    settings = SETTINGS | {"steps": 600, "checkpoint_every": 200}  # 0.53 of the test digits are right long before
    train("digits_mlp", settings | {"lr": 0.01}, whole)
    assert status_of(whole) == "done"

    def cancel(done: int, total: int) -> None:
        if done == 25:
            RunLog().cancel(key_of("train", str(cut.resolve())))
            time.sleep(0.25)  # the log is looked at five times a second

    with pytest.raises(Cancelled):
        train("digits_mlp", settings | {"lr": 0.01}, cut, cancel)
    assert status_of(cut) == "cancelled"
    seen = curve_so_far(cut)
    assert seen is not None and seen.step[-1] >= 25
    train("digits_mlp", settings | {"lr": 0.01}, cut)
    assert status_of(cut) == "done" and curve_so_far(cut) is None
    one, two = load_folder(whole), load_folder(cut)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))


def test_a_training_that_fails_says_so_in_the_log(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="the loss is"):
        train("digits_mlp", SETTINGS | {"optimizer": "sgd", "lr": 1e12}, tmp_path / "m")
    assert status_of(tmp_path / "m") == "failed"


@pytest.mark.slow
def test_a_training_killed_from_outside_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    settings = {"steps": 600, "checkpoint_every": 100, "evaluate_every": 0, "lr": 0.01}
    words = [f"{name}={value}" for name, value in settings.items()]
    command = [sys.executable, "-m", "workbench", "train", "digits_mlp", "--folder", str(tmp_path / "cut"), "--set"]
    killed = subprocess.Popen([*command, *words], env=os.environ | {"OMP_NUM_THREADS": "1"}, stderr=subprocess.DEVNULL)
    while curve_so_far(tmp_path / "cut") is None and killed.poll() is None:
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not (tmp_path / "cut" / "card.json").exists() and status_of(tmp_path / "cut") == "interrupted"
    for name in ("cut", "whole"):
        train("digits_mlp", settings, tmp_path / name)
    one, two = load_folder(tmp_path / "whole"), load_folder(tmp_path / "cut")
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ("digits_mlp", ["n_features=32"]),
        ("digits_mlp", ["dataset=shapes"]),
        ("digits_mlp", ["n_classes=9"]),
        ("shapes_cnn", ["dataset=digits"]),
    ],
)
def test_a_network_that_does_not_fit_its_data_is_refused_before_anything_is_written(
    recipe: str, words: list[str], tmp_path: Path
) -> None:
    settings = from_words(RECIPES[recipe], words)
    for ask in (partial(train, recipe, settings, tmp_path / "new"), partial(check, recipe, settings)):
        with pytest.raises(ConfigError, match=f"of {recipe} (does|do) not fit (digits|shapes), which needs"):
            ask()
    assert not (tmp_path / "new").exists()


def test_settings_that_are_given_twice_are_refused() -> None:
    recipe = RECIPES["digits_mlp"]
    with pytest.raises(InputError, match="'steps' is set twice, by 'steps=5' and 'steps=7'"):
        from_words(recipe, ["steps=5", "steps=7"])
    with pytest.raises(InputError, match="'lr' has two ranges, lr=1e-3..1e-2 and lr=0.1..0.2"):
        ranges_from(recipe, ["lr=1e-3..1e-2", "lr=0.1..0.2"])
    with pytest.raises(InputError, match="'lr' is searched and set to 0.1"):
        SearchPlan("digits_mlp", ranges_from(recipe, ["lr=1e-3..1e-2"]), {"lr": 0.1})
