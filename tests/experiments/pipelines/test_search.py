"""Tests of hyperparameter search: stored studies, continuation, and no use of the test set."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest

from workbench.cli import status
from workbench.core.errors import ConfigError, InputError, UnknownNameError
from workbench.core.registry import DATASETS, RECIPES
from workbench.data.images.image_data import hold_out
from workbench.experiments.pipelines.search import Range, SearchPlan, open_study, ranges_from, search, searches
from workbench.experiments.store.processes import this_process
from workbench.figures.search import describe_best, draw_search

RECIPE = RECIPES["digits_mlp"]
PLAN = SearchPlan(
    "digits_mlp", ranges_from(RECIPE, ["lr=1e-4..1e-1,log", "hidden=8|8,4"]), {"steps": 20, "evaluate_every": 0}
)


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WORKBENCH_RUNS", str(tmp_path))
    return tmp_path


def test_a_search_goes_on_with_what_it_knows_and_draws_itself() -> None:
    search("mine", PLAN, 3)
    killed = open_study("mine", PLAN).ask()  # a trial whose process was killed
    study = search("mine", PLAN, 3)
    states = [trial.state.name for trial in study.trials]
    assert states.count("COMPLETE") == 6 and states[killed.number] == "FAIL" and searches() == ["mine"]
    assert {"History", "Importance", "All trials"} == set(draw_search(study))
    assert all(figure.data for figure in draw_search(study).values())
    assert "6 finished trials (7 started)" in describe_best(study)
    assert study.direction.name == "MAXIMIZE" and 0 < study.best_value <= 1


def test_a_training_that_diverges_is_a_failed_trial() -> None:
    plan = SearchPlan("digits_mlp", (Range("lr", 1e11, 1e12),), {"steps": 5, "optimizer": "sgd"}, "test_loss")
    study = search("wild", plan, 2)
    assert [trial.state for trial in study.trials] == [optuna.trial.TrialState.FAIL] * 2
    assert study.direction.name == "MINIMIZE" and "None of 2 trials" in describe_best(study)


def test_another_search_of_the_same_name_is_refused() -> None:
    open_study("mine", PLAN)
    with pytest.raises(ConfigError, match="another --name"):
        open_study("mine", SearchPlan("digits_mlp", PLAN.ranges, {"steps": 30}))
    with pytest.raises(UnknownNameError, match="Did you mean 'mine'"):
        open_study("mien")


def test_trials_of_other_data_or_code_are_not_mixed_with_new_ones() -> None:
    study = search("mine", PLAN, 1)
    assert len(search("mine", PLAN, 1).trials) == 2
    facts = study.user_attrs["facts"]
    facts["code"]["workbench.training.fit"] = "another"
    study.set_user_attr("facts", facts)
    with pytest.raises(ConfigError, match=r"since code of workbench\.training\.fit changed.*another --name"):
        search("mine", PLAN, 1)
    assert len(open_study("mine").trials) == 2, "looking at it is another matter"


def test_a_trial_that_another_process_is_training_is_left_alone() -> None:
    theirs, lost = open_study("mine", PLAN).ask(), open_study("mine", PLAN).ask()
    theirs.set_user_attr("owner", list(this_process()))
    lost.set_user_attr("owner", [this_process().pid, this_process().born - 5])
    states = {trial.number: trial.state.name for trial in search("mine", PLAN, 1).trials}
    assert states == {theirs.number: "RUNNING", lost.number: "FAIL", 2: "COMPLETE"}


def test_settings_are_judged_on_training_data_alone() -> None:
    data = DATASETS["digits"]()
    part = hold_out(data, 0.1)
    rows = lambda pixels: {bytes(row.numpy()) for row in pixels}
    assert len(part.test_targets) == round(0.1 * len(data.train_targets))
    assert len(part.test_targets) + len(part.train_targets) == len(data.train_targets)
    assert rows(part.test_pixels) | rows(part.train_pixels) == rows(data.train_pixels)
    assert not rows(part.test_pixels) & (rows(data.test_pixels) - rows(data.train_pixels))
    assert len(part.test_targets.unique()) == 10
    with pytest.raises(ConfigError, match="training or the test set empty"):
        hold_out(data, 1.0)


@pytest.mark.parametrize(
    ("word", "error", "says"),
    [
        ("lr=1..0.1", InputError, "LOW below HIGH"),
        ("momentum=0..0.5,log", InputError, "above 0"),
        ("lr=0..1", ConfigError, "above 0, not 0"),
        ("lr=a..b", ConfigError, "number above 0, not .a."),
        ("steps=1.5..3", ConfigError, "whole number"),
        ("hidden=1..3", InputError, "is no number"),
        ("lr", InputError, "no range"),
        ("rl=1..2", UnknownNameError, "Did you mean 'lr'"),
        ("batch_size=many|few", ConfigError, "whole number"),
    ],
)
def test_a_range_that_makes_no_sense_is_refused(word: str, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        ranges_from(RECIPE, [word])


def test_the_command_searches(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = [
        "search",
        "digits_mlp",
        "batch_size=16..64",
        "--trials",
        "2",
        "--set",
        "steps=5",
        "-o",
        str(tmp_path / "s.html"),
    ]
    assert status(words) == 0
    assert "2 finished trials" in capsys.readouterr().out and (tmp_path / "s.html").stat().st_size > 1000
    assert status(["search", "mnist_gan", "lr=0.1..1.0"]) == 2
    assert "what one batch is" in capsys.readouterr().err
