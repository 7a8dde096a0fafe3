"""Several seeds: the best one's weights, everybody's curves, and no seed twice after an interruption."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from workbench.checkpoints.card import read_card
from workbench.checkpoints.store import load_folder
from workbench.core.registry import RECIPES
from workbench.recipes.frozenlake_q import RECIPE
from workbench.recipes.recipe import make
from workbench.training.curve import Curve

TABLES = ("frozenlake_q", "taxi_q", "cliffwalking_q")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("models") / "m"
    make(replace(RECIPE.with_settings({"steps": 6400}), targets={"return_mean": 0.0}), place)
    return place


def test_the_best_seeds_weights_are_kept_and_every_curve_is_there(folder: Path) -> None:
    model = load_folder(folder)
    curve = Curve.from_json((folder / "curve.json").read_text())
    seeds = [name for name in curve.series if name.startswith("return_seed_")]
    assert len(seeds) == 5
    assert curve.series["return"] == curve.series[f"return_seed_{model.card.seed}"]
    scores = model.card.metrics
    assert scores["return_mean"].n == 100 and scores["return_over_seeds"].n == 5
    assert scores["return_mean"].value >= scores["return_over_seeds"].value


def test_nothing_is_left_beside_the_checkpoint(folder: Path) -> None:
    names = {path.name for path in folder.iterdir() if not path.name.startswith(".")}
    assert names == {"weights.safetensors", "card.json", "curve.json"}


def test_exact_returns_stand_beside_the_sampled_one(folder: Path) -> None:
    metrics = load_folder(folder).card.metrics
    assert metrics["optimal_return"].value == pytest.approx(0.7442, abs=1e-4)
    low, high = metrics["return_mean"].interval  # type: ignore[misc]
    assert low - 0.05 <= metrics["exact_return"].value <= high + 0.05
    assert metrics["exact_return"].value <= metrics["optimal_return"].value


@pytest.mark.parametrize("name", TABLES)
def test_the_committed_tables_are_as_near_the_optimum_as_promised(name: str) -> None:
    metrics = read_card(name).metrics
    gap = metrics["optimal_return"].value - metrics["exact_return"].value
    assert gap <= {"frozenlake_q": 0.02, "taxi_q": 0.1, "cliffwalking_q": 1e-9}[name]
    assert torch.isfinite(torch.tensor(gap)) and RECIPES[name].targets["exact_return"] <= metrics["exact_return"].value
