"""Policies for control tasks: several seeds in our vector environment where there is one, evaluated in the original."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

from workbench.checkpoints.card import DataSource
from workbench.core.hooked import HookedModel
from workbench.core.progress import Progress
from workbench.data.environments import make_vector, native_name, rules_package, rules_sha256
from workbench.recipes.observation_ranges import even_out
from workbench.recipes.recipe import Recipe, Session, Trained
from workbench.recipes.several_seeds import EPISODES, SEEDS, best_of_seeds
from workbench.training.curve import Curve
from workbench.training.policy_evaluation import PolicyEvaluation, evaluate_policy

CARTPOLE = "CartPole-v1"
Algorithm = Callable[..., Curve]


def train(
    recipe: Recipe,
    model: HookedModel,
    session: Session,
    algorithm: Algorithm,
    n_envs: int,
    environment: str = CARTPOLE,
    even: bool = False,
    seeds: int = SEEDS,
) -> Trained:
    """The algorithm from several seeds; the returns of 100 greedy episodes of each, and the best one's weights.

    With `even` the first weights see all entries of an observation alike. Its networks on the way are kept too, when
    the training names some (those that one session of it passes).
    """
    keeps = getattr(recipe.training, "keep_updates", ())
    on_the_way: dict[int, list[tuple[int, Any]]] = {}

    def learn(fresh: Any, seed: int, progress: Progress, state: Path) -> Curve:
        envs = make_vector(native_name(environment), n_envs)
        if even:
            even_out(fresh, envs.single_observation_space)
        kept = on_the_way.setdefault(seed, [])
        keep = {"keep": lambda step, seen: kept.append((step, deepcopy(seen)))} if keeps else {}
        return algorithm(fresh, envs, recipe.training, seed=seed, progress=progress, checkpoint=state, **keep)

    def evaluate(policy: Any, seed: int) -> PolicyEvaluation:
        return evaluate_policy(policy, partial(make_vector, environment), EPISODES, seed)

    data = DataSource(environment, rules_sha256(environment), origin(environment))
    trained = best_of_seeds(recipe, model, session, learn, evaluate, data, seeds)
    for step, seen in on_the_way.get(recipe.seed if trained.seed is None else trained.seed, []):
        session.keep(step, seen)
    return trained


def origin(environment: str) -> str:
    """Whose rules the policy was trained and evaluated by."""
    if native_name(environment) == environment:
        return f"Trained and evaluated in {rules_package(environment)}."
    return f"Trained in our vectorised version, evaluated in that of {rules_package(environment)}."
