"""Training of one policy with several seeds, of which the best is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from workbench.checkpoints.card import DataSource
from workbench.core.hooked import HookedModel
from workbench.core.progress import Progress
from workbench.core.random import seed_everything
from workbench.core.registry import MODELS
from workbench.recipes.recipe import Recipe, Session, Trained
from workbench.training.curve import Curve
from workbench.training.policy_evaluation import PolicyEvaluation
from workbench.training.scores import bootstrapped_mean

Learn = Callable[[Any, int, Progress, Path], Curve]
"""Trains a fresh network in place, given its seed, the progress callback and the file of its training state."""
Evaluate = Callable[[Any, int], PolicyEvaluation]
"""Runs greedy episodes of a policy from the given seed."""
SEEDS = 5
EPISODES = 100
SELECTION_SEED, EVALUATION_SEED = 10_000, 20_000
"""Seeds of the episodes that select the best seed, and of those reported, which avoids selection bias."""


def best_of_seeds(
    recipe: Recipe,
    model: HookedModel,
    session: Session,
    learn: Learn,
    evaluate: Evaluate,
    data: DataSource,
    seeds: int = SEEDS,
) -> Trained:
    """Train `seeds` networks, and copy the one with the highest greedy return into `model`.

    Returns are reported on other episodes than those used for selection. An interrupted run resumes from the states of
    all seeds, which are kept until the end.

    Args:
        recipe: The recipe; seeds count from its own.
        model: Receives the best seed's weights.
        session: File of the training state and progress.
        learn: Trains one network.
        evaluate: Evaluates one policy.
        data: Environment of the card.
        seeds: Number of seeds.
    """
    curves, chances, scores, weights = [], [], [], []
    for i in range(seeds):
        seed = recipe.seed + i
        seed_everything(seed)
        fresh = MODELS[recipe.architecture](recipe.config)
        curves.append(learn(fresh, seed, shift_progress(session.progress, i, seeds), state_of(session, seed)))
        chances.append(evaluate(fresh.eval(), SELECTION_SEED).mean)
        scores.append(evaluate(fresh, EVALUATION_SEED))
        weights.append(fresh.state_dict())
    best = max(range(seeds), key=chances.__getitem__)
    model.load_state_dict(weights[best])
    return Trained(join_curves(curves, best), metrics(scores, best, recipe.seed), data, seed=recipe.seed + best)


def state_of(session: Session, seed: int) -> Path:
    """Return the file of one seed's training state."""
    return session.state.with_name(f"seed_{seed}_{session.state.name}")


def shift_progress(progress: Progress, place: int, places: int) -> Progress:
    """Return the progress callback of one part, which reports it as part of the whole."""
    return lambda done, total: progress(place * total + done, places * total)


def join_curves(curves: list[Curve], best: int) -> Curve:
    """Add every seed's returns to the best seed's curve, as `return_seed_0` and so on."""
    chosen = curves[best]
    series = dict(chosen.series)
    for i, curve in enumerate(curves):
        by_step = dict(curve.points("return")) if "return" in curve.series else {}
        series[f"return_seed_{i}"] = [by_step.get(step) for step in chosen.step]
    return Curve(list(chosen.step), series)


def metrics(scores: list[PolicyEvaluation], best: int, seed: int) -> Mapping[str, Mapping[str, Any]]:
    """Return the best seed's mean return over its episodes, and the mean return over seeds."""
    means = torch.tensor([score.mean for score in scores])
    return {"return_mean": scores[best].score, "return_over_seeds": bootstrapped_mean(means, seed)}
