"""Preference learning with several seeds, each with its own pairs, reward model and policy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from workbench.checkpoints.store import load
from workbench.core.hooked import HookedModel
from workbench.core.progress import Progress
from workbench.recipes.recipe import Recipe, Session, Trained
from workbench.recipes.trainings.several_seeds import shift_progress
from workbench.recipes.trainings.tales_outcomes import TEMPERATURE
from workbench.recipes.trainings.tales_preferences import (
    Setting,
    copy_model,
    learn_reward,
    load_setting,
    policy_metrics,
    reward_metrics,
    scorer_from,
    training_pairs,
)
from workbench.training.curve import Curve
from workbench.training.rlhf.reward_model import Scorer

Learn = Callable[[Setting, Any, Scorer, int, Progress, Path], Curve]
"""Trains a copy of the reference in place, given a reward model and a seed for sampling pairs."""
SEEDS = 3
Metrics = dict[str, Mapping[str, Any]]


def run_seeds(
    recipe: Recipe, model: HookedModel, session: Session, learn: Learn, own_rewards: bool, seeds: int = SEEDS
) -> Trained:
    """Train one policy per seed; `model` becomes the first one.

    The first seed's reward model is the committed `tales_reward`. The others use it too unless `own_rewards`, in which
    case each is trained here. Metrics are those of the first seed, those of the others with the seed in their name, and
    the worst of all for each target.
    """
    setting, found, curves = load_setting(), [], []
    for i in range(seeds):
        seed = recipe.seed + i
        scorer, metrics = reward_model(setting, seed, committed=i == 0 or not own_rewards)
        policy = model if i == 0 else copy_model(setting.reference)
        policy.load_state_dict(setting.reference.state_dict())
        state = session.state.with_name(f"seed_{seed}_{session.state.name}")
        curves.append(learn(setting, policy, scorer, seed, shift_progress(session.progress, i, seeds), state))
        found.append(policy_metrics(setting, policy.eval(), scorer, seed) | metrics)
    later = {f"{name}_seed_{recipe.seed + i}": score for i in range(1, seeds) for name, score in found[i].items()}
    return Trained(
        join_rewards(curves, recipe.seed), found[0] | later | find_worst(found), setting.source, setting.tokenizer
    )


def reward_model(setting: Setting, seed: int, committed: bool) -> tuple[Scorer, Metrics]:
    """Return the reward model of one seed and its metrics."""
    scorer = scorer_from(setting, load("tales_reward") if committed else copy_model(setting.reference))
    if not committed:
        learn_reward(setting, scorer, training_pairs(setting, seed), seed)
    scorer.requires_grad_(False)
    metrics = reward_metrics(setting, scorer, seed, temperature=TEMPERATURE)
    return scorer, {name: metrics[name] for name in metrics if name in KEPT}


KEPT = ("preference_accuracy", "annotator_ceiling", "best_of_16_reward", "best_of_16_true_reward")


def find_worst(found: list[Metrics]) -> Metrics:
    """Return the worst value over seeds for each target; `margin` is the true reward minus that of best of 16."""
    n = len(found)
    margins = [of["true_reward"]["value"] - of["best_of_16_true_reward"]["value"] for of in found]
    lowest = {f"worst_{name}": min(of[name]["value"] for of in found) for name in ("grammatical", "unique")}
    values = {"worst_margin": min(margins), **lowest}
    values["worst_length_error"] = max(of["length_error"]["value"] for of in found)
    return {name: {"value": value, "n": n} for name, value in values.items()}


def join_rewards(curves: list[Curve], seed: int) -> Curve:
    """Add the other seeds' rewards or losses to the first seed's curve."""
    first = curves[0]
    name = "reward" if "reward" in first.series else "train_loss"
    others = {f"{name}_seed_{seed + i}": list(curve.series[name]) for i, curve in enumerate(curves) if i}
    return Curve(list(first.step), dict(first.series) | others)
