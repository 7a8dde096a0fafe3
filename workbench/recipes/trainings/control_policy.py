"""Training of policies for control tasks with several seeds, evaluated in the original environment."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from workbench.checkpoints.card import DataSource
from workbench.core.hooked import HookedModel
from workbench.core.progress import Progress
from workbench.core.registry import MODELS
from workbench.data.environments import make_vector, native_name, rules_package, rules_sha256
from workbench.recipes.recipe import Recipe, Session, Trained
from workbench.recipes.trainings.observation_ranges import even_out
from workbench.recipes.trainings.several_seeds import EPISODES, SEEDS, best_of_seeds, state_of
from workbench.training.curve import Curve
from workbench.training.policy_evaluation import PolicyEvaluation, evaluate_policy
from workbench.training.resume import TrainingState, read_state, restore_model, write_state

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
    """Train with several seeds in our vector environment, if there is one, and keep the best seed's weights.

    Args:
        recipe: The recipe.
        model: Receives the best seed's weights.
        session: File of the training state, progress, and what keeps early steps.
        algorithm: Trains one network in place.
        n_envs: Number of environments.
        environment: Id of the environment.
        even: Scale the initial weights to the range of each entry of an observation.
        seeds: Number of seeds.
    """
    keeps = getattr(recipe.training, "keep_updates", ())

    def learn(fresh: Any, seed: int, progress: Progress, state: Path) -> Curve:
        envs = make_vector(native_name(environment), n_envs)
        if even:
            even_out(fresh, envs.single_observation_space)

        def set_aside(update: int, seen: Any) -> None:
            write_state(early_state(state, update), TrainingState(seen.state_dict()))

        keep = {"keep": set_aside} if keeps else {}
        return algorithm(fresh, envs, recipe.training, seed=seed, progress=progress, checkpoint=state, **keep)

    def evaluate(policy: Any, seed: int) -> PolicyEvaluation:
        return evaluate_policy(policy, partial(make_vector, environment), EPISODES, seed)

    data = DataSource(environment, rules_sha256(environment), describe_origin(environment))
    trained = best_of_seeds(recipe, model, session, learn, evaluate, data, seeds)
    best = state_of(session, recipe.seed if trained.seed is None else trained.seed)
    for update in keeps:
        if (path := early_state(best, update)).exists():  # a training may end before the update
            seen = MODELS[recipe.architecture](recipe.config)
            restore_model(seen, read_state(path).tensors, path)
            session.keep(update, seen.eval())
    return trained


def early_state(state: Path, update: int) -> Path:
    """Return the file that holds one seed's network after an update until the best seed is known."""
    return state.with_name(f"update_{update}_{state.name}")


def describe_origin(environment: str) -> str:
    """Describe the environments of training and evaluation."""
    if native_name(environment) == environment:
        return f"Trained and evaluated in {rules_package(environment)}."
    return f"Trained in our vectorised version, evaluated in that of {rules_package(environment)}."
