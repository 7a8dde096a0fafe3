"""Tests of everything registered: names, documentation, forms, figures and targets."""

from __future__ import annotations

import dataclasses
import inspect
import re
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import pytest
import torch

import workbench
from tests.conftest import DATA_FILES, distinct, missing_data, pairs
from workbench.checkpoints.card import SLUG, names, read_card
from workbench.core.axes import UNIT_AXES, parse_axes
from workbench.core.errors import ConfigError
from workbench.core.fitting import missing_axes
from workbench.core.hooked import HookedModel
from workbench.core.registry import ANALYSES, DATASETS, MODELS, RECIPES, Registry, config_type
from workbench.data.images.image_data import ImageData
from workbench.data.tasks.sequences import SequenceData
from workbench.data.text.questions import QuestionData
from workbench.experiments.questions.parameters import signature_of
from workbench.experiments.questions.settings import kinds
from workbench.experiments.run import run_analysis
from workbench.recipes.recipe import Recipe, missed_targets
from workbench.recipes.trainings.finetuning import score_questions
from workbench.training.sequence_answers import answer_metrics
from workbench.training.supervised import classification_metrics

ROOT = Path(__file__).parent.parent
REGISTRIES = {"zoo": MODELS, "analysis": ANALYSES, "recipes": RECIPES, "data": DATASETS}
QUICK: dict[str, Any] = {"steps": 4, "limit": 2, "cuts": 2, "controls": 2, "resamples": 2, "sampled": 4}
"""What makes an analysis short, for those of its parameters that are called so."""

every_architecture = pytest.mark.parametrize("name", MODELS)
every_analysis = pytest.mark.parametrize("analysis", ANALYSES)
every_recipe = pytest.mark.parametrize("recipe", RECIPES)
every_checkpoint = pytest.mark.parametrize("model", names())
LIGHT = ("activations", "probes")
"""Techniques that take a few passes: large networks are tried with these."""
SHAPED = ("cartpole_a2c", "digits_mlp", "induction_gpt", "shapes_cnn")
"""Networks that every technique is tried on with its annotations checked."""


def require_data_of(model: str) -> None:
    """Skips where the data set that a checkpoint was trained on is missing."""
    data = read_card(model).data.name
    if data in DATA_FILES and (reason := missing_data(data)):
        pytest.skip(reason)


def first_paragraph(thing: object) -> str:
    return (inspect.getdoc(thing) or "").split("\n\n")[0]


@pytest.mark.parametrize("folder", REGISTRIES)
def test_names_are_words_that_fit_in_links_and_file_names(folder: str) -> None:
    registry: Registry[Any] = REGISTRIES[folder]
    assert len(registry) > 0
    assert not [name for name in registry if not SLUG.fullmatch(name) or name != name.lower()]


@pytest.mark.parametrize("folder", ["zoo", "recipes"])
def test_a_file_is_called_like_what_it_registers(folder: str) -> None:
    """What another distribution registers lies in files of its own."""
    foreign = {entry.name for entry in entry_points(group=f"workbench.{folder}")}
    files = {path.stem for path in (ROOT / "workbench" / folder).rglob("*.py")}
    assert set(REGISTRIES[folder]) - foreign <= files


@every_architecture
def test_an_architecture_has_a_frozen_config_whose_defaults_build_it(name: str) -> None:
    config = config_type(MODELS[name])
    assert config.__dataclass_params__.frozen and first_paragraph(config)
    model = MODELS[name](config())
    assert isinstance(model, HookedModel) and model.family != HookedModel.family
    assert parse_axes(model.input_axes)[0] == "batch"
    assert first_paragraph(MODELS[name])


@every_analysis
def test_an_analysis_says_what_it_takes_and_what_it_costs(analysis: str) -> None:
    signature = signature_of(analysis)
    assert "model" in signature.injected
    assert re.search(r"\bCosts?\b", inspect.getdoc(ANALYSES[analysis]) or ""), "its docstring names no cost"
    unnamed = [p.name for p in signature.parameters.values() if not p.help]
    assert not unnamed, "its docstring does not mention these parameters in backticks"


@every_analysis
def test_an_analysis_returns_a_documented_frozen_dataclass(analysis: str) -> None:
    function = inspect.unwrap(ANALYSES[analysis])
    result = get_type_hints(function)["return"]
    assert dataclasses.is_dataclass(result) and result.__dataclass_params__.frozen
    assert first_paragraph(result)


@every_recipe
def test_a_recipe_fits_its_architecture_and_has_a_target(recipe: str) -> None:
    made: Recipe = RECIPES[recipe]
    assert made.name == recipe
    assert isinstance(made.config, config_type(MODELS[made.architecture]))
    assert made.targets, "a recipe says what its model must reach"


@every_recipe
def test_every_number_that_a_recipe_takes_declares_a_range(recipe: str) -> None:
    def is_open(kind: Any) -> bool:
        return kind in (int, float) or (get_origin(kind) is not Annotated and any(map(is_open, get_args(kind))))

    assert not [name for name, kind in kinds(RECIPES[recipe]).items() if is_open(kind)]


@every_recipe
def test_the_committed_model_of_a_recipe_meets_its_targets(recipe: str) -> None:
    if recipe not in names():
        pytest.skip(f"there is no trained {recipe}: run `workbench train {recipe}`")
    card = read_card(recipe)
    assert not missed_targets(RECIPES[recipe].targets, card)
    assert card.architecture == RECIPES[recipe].architecture
    assert card.parameters > 0 and card.licence and card.commit and card.data.sha256


@every_checkpoint
def test_a_checkpoint_loads_and_is_what_its_recipe_describes(model: str) -> None:
    loaded = workbench.load(model)
    assert not loaded.training
    assert sum(p.numel() for p in loaded.parameters()) == read_card(model).parameters
    assert loaded.cfg == RECIPES[read_card(model).recipe].config


@every_checkpoint
@pytest.mark.slow
def test_a_classifier_is_as_accurate_as_its_card_says(model: str, pytestconfig: pytest.Config) -> None:
    scores = read_card(model).metrics
    if "test_accuracy" not in scores:
        pytest.skip(f"{model} is no classifier")
    require_data_of(model)
    data: ImageData | SequenceData | QuestionData = DATASETS[read_card(model).data.name]()
    if isinstance(data, QuestionData):
        loaded: Any = workbench.load(model)
        asked = 400 if pytestconfig.getoption("--full") else 30
        some = data.test[:: max(1, len(data.test) // asked)]
        low, high = score_questions(loaded, some, loaded.tokenizer)["test_accuracy"]["interval"]
        assert low - 0.01 <= scores["test_accuracy"].value <= high + 0.01
        return
    rows = torch.linspace(0, len(data.test_targets) - 1, 400).long()
    with torch.no_grad():
        measure = answer_metrics if isinstance(data, SequenceData) else classification_metrics
        measured = measure(workbench.load(model), data.test_inputs[rows], data.test_targets[rows])
    low, high = measured["test_accuracy"]["interval"]
    assert low - 0.01 <= scores["test_accuracy"].value <= high + 0.01


def hook_with_units(model: HookedModel) -> str:
    """A hook in the middle of the network that any technique can work on."""
    hooks = [info for info in model.trace().values() if not info.on_request]
    inner = [info for info in hooks if set(info.axes) & set(UNIT_AXES[:3])]
    chosen = inner or [info for info in hooks if set(info.axes) & set(UNIT_AXES)]
    return chosen[len(chosen) // 2].name


@pytest.mark.parametrize(("analysis", "model"), pairs(ANALYSES, distinct(), light=LIGHT, shapes=SHAPED))
@pytest.mark.slow
def test_every_analysis_runs_on_every_kind_of_model_and_draws_itself(analysis: str, model: str) -> None:
    require_data_of(model)
    signature = signature_of(analysis)
    parameters = {name: value for name, value in QUICK.items() if name in signature.parameters}
    if "hook" in signature.parameters:
        parameters["hook"] = hook_with_units(workbench.load(model))
    if missing_axes(ANALYSES[analysis], workbench.load(model)):
        with pytest.raises(ConfigError, match="works on networks with an axis"):
            run_analysis(analysis, model, **parameters)
        return
    result = run_analysis(analysis, model, **parameters)
    assert workbench.figure(result).data
    assert len(workbench.table(result))
