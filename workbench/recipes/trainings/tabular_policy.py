"""Q-learning in tabular environments, measured against the exact optimum."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from workbench.checkpoints.card import DataSource
from workbench.core.progress import Progress
from workbench.data.environments import make_vector, native_name, rules_sha256
from workbench.data.environments.tabular import read_mdp
from workbench.recipes.recipe import Metrics, Recipe, Session, Trained
from workbench.recipes.trainings.several_seeds import EPISODES, EVALUATION_SEED, best_of_seeds
from workbench.training.curve import Curve
from workbench.training.policy_evaluation import PolicyEvaluation, evaluate_policy
from workbench.training.q_learning import q_learning
from workbench.training.value_iteration import policy_return, value_iteration
from workbench.zoo.q_table import QTable


def train_table(
    recipe: Recipe, model: QTable, session: Session, environment: str, horizon: int, n_envs: int = 64
) -> Trained:
    """Train with several seeds; measure the best table in sample_returns episodes and exactly, within `horizon` steps.

    `exact_return` is the expected return of the greedy policy from the environment's transition table, and
    `optimal_return` that of the best policy, by value iteration.
    """

    def learn(fresh: Any, seed: int, progress: Progress, state: Path) -> Curve:
        return q_learning(fresh.table, make_vector(native_name(environment), n_envs), recipe.training, seed, progress)

    evaluate = partial(sample_returns, environment=environment, limit=horizon)
    data = DataSource(environment, rules_sha256(environment), "Trained on its table of rules, all rows at once.")
    trained = best_of_seeds(recipe, model, session, learn, evaluate, data)
    return replace(trained, metrics={**trained.metrics, **exact_metrics(model, environment, horizon)})


def sample_returns(model: QTable, seed: int, environment: str, limit: int) -> PolicyEvaluation:
    """Run greedy episodes in gymnasium's own environment."""
    return evaluate_policy(model, partial(make_vector, environment), EPISODES, seed, limit=limit)


def measure(recipe: Recipe, model: QTable, environment: str, horizon: int) -> Metrics:
    """Measure the exact returns, and the mean return of 100 greedy episodes."""
    sample = sample_returns(model, EVALUATION_SEED, environment, horizon)
    return exact_metrics(model, environment, horizon) | {"return_mean": sample.score}


def exact_metrics(model: QTable, environment: str, horizon: int) -> dict[str, dict[str, Any]]:
    """Compute expected returns of the greedy policy and of the best one."""
    world = read_mdp(environment)
    greedy = policy_return(model.table.argmax(dim=1), world.transition, world.reward, world.start, horizon)
    best = value_iteration(world.transition, world.reward, horizon).max(dim=1).values
    exact = {"exact_return": greedy, "optimal_return": float(torch.dot(world.start, best))}
    return {name: {"value": value, "n": len(world.start)} for name, value in exact.items()}
