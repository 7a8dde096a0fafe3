"""Tests of training with several seeds: best weights, all curves, and resumption."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from workbench.checkpoints.card import DataSource, read_card
from workbench.checkpoints.store import load_folder
from workbench.core.progress import Progress, silent
from workbench.core.registry import RECIPES
from workbench.recipes.policies.frozenlake_q import RECIPE
from workbench.recipes.recipe import Session, build, make
from workbench.recipes.trainings.several_seeds import EPISODES, EVALUATION_SEED, SELECTION_SEED, best_of_seeds
from workbench.training.curve import Curve
from workbench.training.policy_evaluation import PolicyEvaluation
from workbench.zoo.q_table import QTable

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


def test_the_best_seed_is_chosen_by_other_episodes_than_the_reported_ones(tmp_path: Path) -> None:
    learned: list[int] = []
    chances, reports = [0.0, 3.0, 9.0, 1.0, 2.0], [50.0, 10.0, 20.0, 30.0, 40.0]

    def learn(table: QTable, seed: int, progress: Progress, state: Path) -> Curve:
        table.table.fill_(seed)
        learned.append(seed)
        return Curve([1], {"return": [float(seed)]})

    def evaluate(policy: QTable, seed: int) -> PolicyEvaluation:
        mean = {SELECTION_SEED: chances, EVALUATION_SEED: reports}[seed][int(policy.table[0, 0]) - RECIPE.seed]
        returns = torch.full((EPISODES,), mean, dtype=torch.float64)
        return PolicyEvaluation(returns, torch.ones(EPISODES, dtype=torch.int64), {"value": mean})

    model = build(RECIPE)
    session = Session(tmp_path / "state", silent, lambda step, kept: None)
    trained = best_of_seeds(RECIPE, model, session, learn, evaluate, DataSource("FrozenLake-v1", ""))
    assert learned == [RECIPE.seed + i for i in range(5)] and trained.seed == RECIPE.seed + 2
    assert (model.table == RECIPE.seed + 2).all()
    assert trained.metrics["return_mean"]["value"] == 20.0
    assert trained.metrics["return_over_seeds"]["value"] == 30.0


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
