"""A network whose settings do not fit its data is refused before training, and before a question is answered."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import workbench
from tests.conftest import DATA_FILES, missing_data
from workbench.checkpoints.card import card_of, model_folder, seal_card
from workbench.core.errors import ConfigError, InputError
from workbench.core.registry import RECIPES
from workbench.experiments.data_needs import needs_of, require_card_needs, require_recipe_needs, sources_of
from workbench.experiments.pipelines.training_runs import train
from workbench.recipes.recipe import Recipe, Session

WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("digits_mlp", {"n_classes": 9}, "n_classes=9 of digits_mlp does not fit digits, which needs n_classes=10"),
    ("digits_mlp", {"n_classes": 11}, "n_classes=10"),
    ("digits_mlp", {"dataset": "dates"}, "dates holds PairData, and digits_mlp learns from ImageData: .*digits"),
    ("digits_mlp", {"n_features": 63}, "n_features=64"),
    ("shapes_cnn", {"in_channels": 1, "size": 28}, "in_channels=1 and size=28 of shapes_cnn do not fit shapes, which"),
    ("shapes_vae", {"size": 32}, "size=24"),
    ("shapes_gan", {"out_channels": 1}, "out_channels=3"),
    ("induction_gpt", {"d_vocab": 30}, "d_vocab>=65"),
    ("induction_gpt", {"n_ctx": 20}, "n_ctx>=48"),
    ("modular_addition_gpt", {"d_vocab": 59}, "d_vocab>=60"),
    ("dates_encoder_decoder", {"d_vocab": 20}, "d_vocab>=46"),
    ("dates_encoder_decoder", {"pad": 5}, "pad=0"),
    ("cartpole_ppo", {"n_actions": 3}, "n_actions=3 of cartpole_ppo does not fit CartPole-v1, which needs n_actions=2"),
    ("cartpole_dqn", {"observation": (6,)}, r"observation=\(4,\)"),
    ("maze_ppo", {"observation": (3, 9, 9)}, r"observation=\(3, 7, 7\)"),
    ("frozenlake_q", {"n_states": 64}, "n_states=16"),
    ("taxi_q", {"n_actions": 4}, "n_actions=6"),
    ("tales_ppo", {"n_layers": 4}, "n_layers=3"),
    ("stories_gpt_classifier", {"d_model": 128}, "the network stories_gpt that it starts from"),
]


@pytest.mark.parametrize(("recipe", "settings", "said"), WRONG, ids=lambda value: str(value)[:40])
def test_settings_that_do_not_fit_the_data_are_refused_before_training(
    recipe: str, settings: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=said):
        train(recipe, settings, tmp_path / "model")
    assert not (tmp_path / "model").exists()


FREE = {"tiny_shakespeare", "english_stories", "tales", "story_books", "story_cloze", "story_sounds"}
"""Texts, whose tokenizer is made for the network, so that there is nothing to fit."""
LIGHT = ("digits_mlp", "induction_gpt", "dates_encoder_decoder", "cartpole_ppo", "tales_dpo", "frozenlake_q")
"""A recipe of each kind whose data are read in a moment."""


@pytest.mark.parametrize("name", [pytest.param(n, marks=[] if n in LIGHT else pytest.mark.full) for n in RECIPES])
def test_every_recipe_fits_the_data_that_it_declares(name: str) -> None:
    recipe = RECIPES[name]
    here = [source for source in sources_of(recipe) if source not in DATA_FILES or not missing_data(source)]
    assert sources_of(recipe)
    if here == sources_of(recipe):
        require_recipe_needs(recipe)
        assert all(needs_of(source) or source in FREE for source in here)


@pytest.mark.skipif(bool(missing_data("tiny_shakespeare")), reason="needs the text")
def test_a_vocabulary_that_only_the_first_step_can_tell_is_one_sentence_too(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="outside the vocabulary of 40"):
        train("shakespeare_gpt", {"d_vocab": 40, "steps": 2, "warmup": 0}, tmp_path / "model")


def multiply(recipe: Recipe, model: Any, session: Session) -> Any:
    """A training that declares no data, and whose data have another width than the network."""
    model(torch.zeros(2, 63))


def diverge(recipe: Recipe, model: Any, session: Session) -> Any:
    session.progress(1, 2)
    raise RuntimeError("of its own")


def test_an_error_before_the_first_step_names_the_network_and_a_later_one_is_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, function in (("early", multiply), ("late", diverge)):
        recipe = replace(RECIPES["digits_mlp"], name=name, train=function, reads=("digits",))
        monkeypatch.setitem(RECIPES._items, name, recipe)
    with pytest.raises(ConfigError, match=r"early failed before its first step with \w+: .*n_features=64") as refused:
        train("early", {}, tmp_path / "early")
    assert "\n" not in str(refused.value)
    with pytest.raises(RuntimeError, match="^of its own$"):
        train("late", {}, tmp_path / "late")


CHANGED = [("digits_mlp", "shapes", "n_classes=10 and n_features=64"), ("cartpole_ppo", "Acrobot-v1", "n_actions=2")]


@pytest.mark.parametrize(("name", "data", "said"), CHANGED)
def test_a_sealed_card_whose_data_do_not_fit_is_refused(
    name: str, data: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(model_folder(name), tmp_path / name)
    monkeypatch.setenv("WORKBENCH_MODELS", str(tmp_path))
    path = tmp_path / name / "card.json"
    table = json.loads(path.read_text())
    table["data"]["name"] = data
    path.write_text(json.dumps(table))
    card = seal_card(name)
    with pytest.raises(ConfigError, match=f"{said}.* do(es)? not fit {data}"):
        require_card_needs(card_of(tmp_path / name), name)
    assert card.data.name == data
    with pytest.raises(ConfigError, match=f"not fit {data}, the data on its card"):
        workbench.run("activations", model=name, hook="hook_input")
