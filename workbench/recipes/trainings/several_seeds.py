"""One policy of several seeds: all are trained, the best one's weights kept and measured, everyone's curve shown."""

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
"""Trains a fresh network in place: the network, its seed, whom to tell, and where to keep the training state."""
Evaluate = Callable[[Any, int], PolicyEvaluation]
"""Greedy episodes of a policy, which start from this seed."""
SEEDS = 5
EPISODES = 100
SELECTION_SEED, EVALUATION_SEED = 10_000, 20_000
"""Where the episodes start that choose among seeds, and the others that are reported: a best of five flatters."""


def best_of_seeds(
    recipe: Recipe,
    model: HookedModel,
    session: Session,
    learn: Learn,
    evaluate: Evaluate,
    data: DataSource,
    seeds: int = SEEDS,
) -> Trained:
    """Trains `seeds` networks from the recipe's seed on; `model` becomes the one whose greedy episodes return most.

    The returns on its card, and those of all seeds, are of other episodes than the ones it was chosen by.
    An interrupted run resumes: the states of finished seeds lie beside that of the unfinished one until the end.
    """
    curves, chances, scores, weights = [], [], [], []
    for i in range(seeds):
        seed = recipe.seed + i
        seed_everything(seed)
        fresh = MODELS[recipe.architecture](recipe.config)
        curves.append(learn(fresh, seed, shifted(session.progress, i, seeds), state_of(session, seed)))
        chances.append(evaluate(fresh.eval(), SELECTION_SEED).mean)
        scores.append(evaluate(fresh, EVALUATION_SEED))
        weights.append(fresh.state_dict())
    best = max(range(seeds), key=chances.__getitem__)
    model.load_state_dict(weights[best])
    return Trained(side_by_side(curves, best), metrics(scores, best, recipe.seed), data, seed=recipe.seed + best)


def state_of(session: Session, seed: int) -> Path:
    """Where the training state of one seed lies."""
    return session.state.with_name(f"seed_{seed}_{session.state.name}")


def shifted(progress: Progress, place: int, places: int) -> Progress:
    """Progress of one part of several, told as that of the whole."""
    return lambda done, total: progress(place * total + done, places * total)


def side_by_side(curves: list[Curve], best: int) -> Curve:
    """The best seed's curve, and beside it every seed's returns as `return_seed_0` and so on."""
    chosen = curves[best]
    series = dict(chosen.series)
    for i, curve in enumerate(curves):
        by_step = dict(curve.points("return")) if "return" in curve.series else {}
        series[f"return_seed_{i}"] = [by_step.get(step) for step in chosen.step]
    return Curve(list(chosen.step), series)


def metrics(scores: list[PolicyEvaluation], best: int, seed: int) -> Mapping[str, Mapping[str, Any]]:
    """The best seed's mean return with the interval over its episodes, and the mean over seeds with that over them."""
    means = torch.tensor([score.mean for score in scores])
    return {"return_mean": scores[best].score, "return_over_seeds": bootstrapped_mean(means, seed)}
