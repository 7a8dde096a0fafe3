"""Tests of recipes: their checkpoints load, resume and describe themselves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from app.widgets.training_panel import recipes as recipe_choices
from tests import test_registries as registry_checks
from workbench.checkpoints.card import read_card
from workbench.checkpoints.store import load_folder
from workbench.cli.listing import recipes
from workbench.core.errors import Cancelled, ConfigError, TrainingError, UnknownNameError
from workbench.core.registry import RECIPES
from workbench.experiments.questions.settings import from_words
from workbench.recipes.image_classifiers.digits_mlp import RECIPE
from workbench.recipes.recipe import Recipe, make


def short(**settings: object) -> Recipe:
    recipe = RECIPE.with_settings({"steps": 40, "evaluate_every": 20, "checkpoint_every": 10, **settings})
    return replace(recipe, targets={"test_accuracy": 0.3})


def test_a_recipe_makes_a_checkpoint_with_its_card_and_curve(tmp_path: Path) -> None:
    card = make(short(seed=3), tmp_path / "m")
    model = load_folder(tmp_path / "m")
    assert card.seed == 3 and card.metrics["test_accuracy"].n == 359 and model.card == card
    assert card.title == "MLP on 8x8 digits" and card.processes == 1
    assert sorted(p.name for p in (tmp_path / "m").iterdir() if not p.name.startswith(".")) == [
        "card.json", "curve.json", "weights.safetensors",
    ]  # fmt: skip


def test_an_interrupted_run_resumes_to_the_same_weights(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 25:
            raise Cancelled("enough")

    whole = make(short(), tmp_path / "whole")
    with pytest.raises(Cancelled):
        make(short(), tmp_path / "cut", stop)
    assert make(short(), tmp_path / "cut").weights_sha256 != ""
    one, two = load_folder(tmp_path / "whole"), load_folder(tmp_path / "cut")
    assert whole.metrics == two.card.metrics
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))


def test_a_missed_target_is_an_error_and_the_model_is_kept(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="test_accuracy is .* and must be at least 1.5"):
        make(replace(short(), targets={"test_accuracy": 1.5}), tmp_path / "m")
    assert load_folder(tmp_path / "m").card.recipe == "digits_mlp"


def test_an_unknown_setting_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'steps'"):
        RECIPE.with_settings({"stpes": 3})


def test_every_recipe_is_named_like_its_file_and_has_targets() -> None:
    for name in RECIPES:
        assert RECIPES[name].name == name and RECIPES[name].targets


def test_a_recipe_without_weights_is_listed_as_untrained_until_it_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(RECIPES._items, "new_mlp", replace(short(), name="new_mlp"))
    monkeypatch.setenv("WORKBENCH_MODELS", str(tmp_path))
    registry_checks.test_a_recipe_fits_its_architecture_and_has_a_target("new_mlp")
    registry_checks.test_every_number_that_a_recipe_takes_declares_a_range("new_mlp")
    with pytest.raises(pytest.skip.Exception, match="run `workbench train new_mlp`"):
        registry_checks.test_the_committed_model_of_a_recipe_meets_its_targets("new_mlp")
    with pytest.raises(UnknownNameError, match="trained model named 'new_mlp'"):
        read_card("new_mlp")
    assert trained("new_mlp") == "no" and "new_mlp" in recipe_choices()[0]
    make(RECIPES["new_mlp"])
    assert trained("new_mlp") == "yes" and read_card("new_mlp").recipe == "new_mlp"


def trained(name: str) -> str:
    return next(row["trained"] for row in recipes() if row["name"] == name)


def test_settings_are_applied_together_and_a_shorter_run_keeps_no_steps_beyond_its_end() -> None:
    plain = RECIPES["induction_gpt"]
    assert plain.with_settings({"steps": 500}).training.keep_steps == (0, 500)
    chosen = plain.with_settings({"keep_steps": (7000,), "steps": 8000, "d_model": 30, "n_heads": 5, "seed": 3})
    assert (chosen.training.keep_steps, chosen.config.d_model, chosen.config.n_heads) == ((7000,), 30, 5)
    assert chosen.seed == chosen.training.seed == 3
    with pytest.raises(ConfigError, match="keep_steps has 501"):
        plain.with_settings({"steps": 500, "keep_steps": (501,)})


@pytest.mark.parametrize("value", [0, 257, 100_000])
def test_threads_that_crash_torch_are_refused(value: int) -> None:
    with pytest.raises(ConfigError, match="'threads' of Recipe should be a whole number from 1 to 256"):
        replace(RECIPE, threads=value)


def test_an_unknown_dtype_or_initializer_is_refused_before_training() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'bfloat16'"):
        from_words(RECIPE, ["dtype=bfloat"])
    with pytest.raises(UnknownNameError, match="initializer named 'he_norm'"):
        RECIPE.with_settings({"weights": "he_norm"})
