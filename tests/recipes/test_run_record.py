"""Tests of interrupted trainings: continued with their own settings and data, or refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.core.test_atomic import everything_in
from workbench.checkpoints.card import card_of, steps_folder
from workbench.checkpoints.store import load_folder
from workbench.core.errors import Cancelled, CheckpointError
from workbench.core.registry import DATASETS, RECIPES
from workbench.recipes import identity
from workbench.recipes.identity import run_of, settings_of
from workbench.recipes.image_classifiers.digits_mlp import RECIPE
from workbench.recipes.recipe import Recipe, make
from workbench.recipes.run_record import RECORD, STATE

SHORT = RECIPE.with_settings({"steps": 12, "evaluate_every": 0, "checkpoint_every": 4, "log_every": 2})


def short(**settings: Any) -> Recipe:
    return replace(SHORT.with_settings(settings), targets={"test_accuracy": 0.0})


def stopped(recipe: Recipe, folder: Path, step: int = 6, overwrite: bool = False) -> None:
    def stop(done: int, total: int) -> None:
        if done == step:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        make(recipe, folder, stop, overwrite)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"activation": "tanh"}, "config.activation='relu', and this one has config.activation='tanh'"),
        ({"batch_size": 32}, "task.batch_size=64, and this one has task.batch_size=32"),
        ({"label_smoothing": 0.0}, "task.label_smoothing=0.1, and this one has task.label_smoothing=0.0"),
        ({"weights": "xavier_normal"}, "weights='he_normal', and this one has weights='xavier_normal'"),
        ({"held_out": 0.1}, "task.held_out=0.0, and this one has task.held_out=0.1"),
        ({"threads": 2}, "threads=1, and this one has threads=2"),
        ({"lr": 0.5, "momentum": 0.5}, r"training.lr=0.003, .* training.lr=0.5 \(1 other settings differ too\)"),
        ({"dtype": "bfloat16"}, "dtype='float32', and this one has dtype='bfloat16'"),
    ],
)
def test_another_setting_than_the_interrupted_training_had_is_refused_with_both_values(
    tmp_path: Path, settings: dict[str, Any], says: str
) -> None:
    stopped(short(), tmp_path)
    before = everything_in(tmp_path)
    with pytest.raises(CheckpointError, match=f"holds an interrupted training with {says}.*--overwrite"):
        make(short(**settings), tmp_path)
    assert everything_in(tmp_path) == before


def test_other_data_than_the_interrupted_training_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped(short(), tmp_path)
    data = DATASETS["digits"]()
    monkeypatch.setitem(DATASETS._items, "digits", lambda: replace(data, sha256="ef" * 32))
    with pytest.raises(CheckpointError, match=r"data\.digits='9412.*and this one has data\.digits='efef"):
        make(short(), tmp_path)


@pytest.mark.parametrize(("name", "value"), [("code_sha256", "other"), ("release", "0.0.1")])
def test_other_code_or_versions_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    stopped(short(), tmp_path)
    monkeypatch.setattr(identity, name, lambda _: value)
    with pytest.raises(CheckpointError, match=rf"(code|version\.gymnasium)=.* and this one has .*'{value}'"):
        make(short(), tmp_path)


def test_a_state_that_does_not_say_its_settings_is_refused(tmp_path: Path) -> None:
    stopped(short(), tmp_path)
    (tmp_path / RECORD).unlink()
    with pytest.raises(CheckpointError, match="a training state without a record of its settings"):
        make(short(), tmp_path)


def test_overwriting_drops_an_interrupted_training_with_other_settings(tmp_path: Path) -> None:
    stopped(short(lr=0.5), tmp_path / "m")
    make(short(), tmp_path / "m", overwrite=True)
    make(short(), tmp_path / "fresh")
    assert same_weights(tmp_path / "m", tmp_path / "fresh")
    assert not list((tmp_path / "m").glob(f"*{STATE}")) and not (tmp_path / "m" / RECORD).exists()


def test_a_finished_model_is_kept_unless_it_is_to_be_overwritten(tmp_path: Path) -> None:
    make(short(), tmp_path)
    before = everything_in(tmp_path)
    with pytest.raises(CheckpointError, match="a finished model .MLP on 8x8 digits, made by the recipe digits"):
        make(short(seed=1), tmp_path)
    assert everything_in(tmp_path) == before
    assert make(short(seed=1), tmp_path, overwrite=True).seed == 1


def test_an_interrupted_replacement_leaves_the_finished_model_and_continues(tmp_path: Path) -> None:
    first = make(short(keep_steps=(4,)), tmp_path / "m")
    stopped(short(seed=1, keep_steps=(4,)), tmp_path / "m", overwrite=True)
    assert card_of(tmp_path / "m") == first
    assert torch.equal(weight(load_folder(tmp_path / "m", 4)), weight(load_folder(tmp_path / "m", 4)))
    assert load_folder(tmp_path / "m", step=4).card.seed == 0
    second = make(short(seed=1, keep_steps=(4,)), tmp_path / "m")  # that it replaces the other was said before
    make(short(seed=1, keep_steps=(4,)), tmp_path / "fresh")
    assert second.seed == 1 and same_weights(tmp_path / "m", tmp_path / "fresh")
    assert same_weights(tmp_path / "m", tmp_path / "fresh", step=4)
    assert [path.name for path in (tmp_path / "m" / "steps").iterdir()] == [second.run]


def test_steps_of_an_abandoned_training_never_come_under_the_card_of_another(tmp_path: Path) -> None:
    stopped(short(seed=5, keep_steps=(0, 3, 5)), tmp_path)
    card = make(short(keep_steps=(4,)), tmp_path, overwrite=True)
    kept = steps_folder(tmp_path, card.run)
    assert [path.name for path in (tmp_path / "steps").iterdir()] == [kept.name]
    assert [path.stem for path in kept.iterdir()] == ["4"]


def test_killed_between_saving_and_tidying_up_the_training_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(folder: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as during, pytest.raises(KeyboardInterrupt):
        during.setattr("workbench.recipes.recipe.release", killed)
        make(short(), tmp_path)
    card = card_of(tmp_path)
    assert make(short(), tmp_path) == card
    assert not list(tmp_path.glob(f"*{STATE}")) and not (tmp_path / RECORD).exists()


def test_a_card_has_every_setting_that_made_the_weights(tmp_path: Path) -> None:
    card = make(short(batch_size=32), tmp_path)
    assert card.settings["task.batch_size"] == 32 and card.settings["training.lr"] == 0.003
    assert card.settings["task.label_smoothing"] == 0.1 and card.settings["weights"] == "he_normal"
    assert card.settings["data.digits"] == card.data.sha256
    assert card.settings["version.torch"] == torch.__version__ and len(card.settings["code"]) == 64
    assert card.run == run_of(settings_of(short(batch_size=32)))


def test_settings_reach_into_functions_that_a_recipe_fixes_arguments_of() -> None:
    induction, cartpole = settings_of(RECIPES["induction_gpt"]), settings_of(RECIPES["cartpole_ppo"])
    assert induction["task.batch_size"] == 64 and "data.repeated_tokens" in induction
    assert (cartpole["task.n_envs"], cartpole["task.seeds"]) == (64, 5) and "data.CartPole-v1" in cartpole


def weight(model: Any) -> torch.Tensor:
    return model.blocks[0].linear.weight


def same_weights(one: Path, other: Path, step: int | None = None) -> bool:
    first, second = (load_folder(folder, step).state_dict() for folder in (one, other))
    return all(torch.equal(first[name], second[name]) for name in first)
