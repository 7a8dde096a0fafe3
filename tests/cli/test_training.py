"""Tests of `workbench train`: settings, folders and protection of the recipes' own models."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from workbench.checkpoints.card import names, read_card
from workbench.cli import status
from workbench.core.registry import RECIPES


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WORKBENCH_MODELS", str(tmp_path))
    return tmp_path


SETTINGS = ["--set", "steps=20", "hidden=5", "--set", "lr=0.01", "--seed", "4"]


def test_a_recipe_is_trained_with_other_settings_into_another_folder(
    models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = status(["train", "digits_mlp", *SETTINGS, "--folder", str(models / "small")])
    assert code == 2 and "missed its target" in capsys.readouterr().err  # 20 steps are few; it is saved all the same
    card = read_card("small")
    assert card.config["hidden"] == [5] and card.seed == 4 and names() == ["small"]


def test_other_settings_never_write_over_the_recipes_own_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["train", "digits_mlp", *SETTINGS]) == 2
    assert "--folder" in capsys.readouterr().err and not names()


def test_a_recipe_makes_the_model_of_its_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    quick = RECIPES["digits_mlp"].with_settings({"steps": 20, "hidden": (5,)})
    monkeypatch.setitem(RECIPES._items, "digits_mlp", replace(quick, targets={}))
    assert status(["train", "digits_mlp", "--json"]) == 0
    card = json.loads(capsys.readouterr().out)
    assert names() == ["digits_mlp"] and card["metrics"]["test_accuracy"]["n"] == 359
