"""A way to learn from preferences run with several seeds: pairs, reward model and policy anew for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from workbench.checkpoints.store import load
from workbench.core.hooked import HookedModel
from workbench.core.progress import Progress
from workbench.recipes.recipe import Recipe, Session, Trained
from workbench.recipes.trainings.several_seeds import shifted
from workbench.recipes.trainings.tales_outcomes import TEMPERATURE
from workbench.recipes.trainings.tales_preferences import (
    Setting,
    copied,
    learn_reward,
    policy_metrics,
    reward_metrics,
    scorer_from,
    setting,
    training_pairs,
)
from workbench.training.curve import Curve
from workbench.training.rlhf.reward_model import Scorer

Learn = Callable[[Setting, Any, Scorer, int, Progress, Path], Curve]
"""Trains a copy of the reference in place: with a reward model and the seed, of which pairs may be drawn."""
SEEDS = 3
Metrics = dict[str, Mapping[str, Any]]


def run_seeds(
    recipe: Recipe, model: HookedModel, session: Session, learn: Learn, own_rewards: bool, seeds: int = SEEDS
) -> Trained:
    """One policy for each seed from the recipe's on; `model` becomes the first, chosen before anything was measured.

    The first seed's reward model is the committed `tales_reward`; so are the others' unless they have `own_rewards`,
    trained here. Metrics are those of the first seed, of the others with the seed in their name, and the worst of all
    for each gate.
    """
    at, found, curves = setting(), [], []
    for i in range(seeds):
        seed = recipe.seed + i
        scorer, metrics = reward_model(at, seed, committed=i == 0 or not own_rewards)
        policy = model if i == 0 else copied(at.reference)
        policy.load_state_dict(at.reference.state_dict())
        state = session.state.with_name(f"seed_{seed}_{session.state.name}")
        curves.append(learn(at, policy, scorer, seed, shifted(session.progress, i, seeds), state))
        found.append(policy_metrics(at, policy.eval(), scorer, seed) | metrics)
    later = {f"{name}_seed_{recipe.seed + i}": score for i in range(1, seeds) for name, score in found[i].items()}
    return Trained(beside(curves, recipe.seed), found[0] | later | worst(found), at.source, at.tokenizer)


def reward_model(at: Setting, seed: int, committed: bool) -> tuple[Scorer, Metrics]:
    """The reward model of one seed, and how good it is."""
    scorer = scorer_from(at, load("tales_reward") if committed else copied(at.reference))
    if not committed:
        learn_reward(at, scorer, training_pairs(at, seed), seed)
    scorer.requires_grad_(False)
    metrics = reward_metrics(at, scorer, seed, temperature=TEMPERATURE)
    return scorer, {name: metrics[name] for name in metrics if name in KEPT}


KEPT = ("preference_accuracy", "annotator_ceiling", "best_of_16_reward", "best_of_16_true_reward")


def worst(found: list[Metrics]) -> Metrics:
    """The gates' figures of the seed that does worst in each: `margin` is the true reward above that of best of 16."""
    n = len(found)
    margins = [of["true_reward"]["value"] - of["best_of_16_true_reward"]["value"] for of in found]
    lowest = {f"worst_{name}": min(of[name]["value"] for of in found) for name in ("grammatical", "unique")}
    values = {"worst_margin": min(margins), **lowest}
    values["worst_length_error"] = max(of["length_error"]["value"] for of in found)
    return {name: {"value": value, "n": n} for name, value in values.items()}


def beside(curves: list[Curve], seed: int) -> Curve:
    """The first seed's curve with the others' rewards or losses beside it."""
    first = curves[0]
    name = "reward" if "reward" in first.series else "train_loss"
    others = {f"{name}_seed_{seed + i}": list(curve.series[name]) for i, curve in enumerate(curves) if i}
    return Curve(list(first.step), dict(first.series) | others)
