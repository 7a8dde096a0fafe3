"""Reward model for tales, fitted to simulated preferences."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from workbench.core.hooked import HookedModel
from workbench.core.ranges import PositiveInt, check_fields
from workbench.recipes.preferences.tales_gpt import RECIPE as REFERENCE
from workbench.recipes.recipe import Metrics, Recipe, Session, Trained, register
from workbench.recipes.trainings.tales_preferences import (
    HELD_OUT,
    PAIRS,
    REWARD_TRAINING,
    learn_reward,
    load_setting,
    read_labelled,
    reward_metrics,
    scorer_from,
    training_pairs,
)
from workbench.training.fit_config import FitConfig


@dataclass(frozen=True)
class RewardConfig:
    """Settings of the preferences and the training; `held_out` further preferences measure the result."""

    fit: FitConfig = REWARD_TRAINING
    pairs: PositiveInt = PAIRS
    held_out: PositiveInt = HELD_OUT
    labels: str = ""
    """File of a person's preferences (JSON lines) to use in place of simulated ones."""

    def __post_init__(self) -> None:
        check_fields(self)


def train(recipe: Recipe, model: HookedModel, session: Session) -> Trained:
    """Fit the reference's weights to pairs of its tales by the Bradley-Terry likelihood."""
    setting, cfg = load_setting(), recipe.training
    model.load_state_dict(setting.reference.state_dict())
    scorer = scorer_from(setting, model)
    pairs = read_labelled(setting, Path(cfg.labels)) if cfg.labels else training_pairs(setting, recipe.seed, cfg.pairs)
    curve = learn_reward(setting, scorer, pairs, recipe.seed, cfg.fit, session.state, session.progress)
    return Trained(curve, reward_metrics(setting, scorer, recipe.seed, cfg.held_out), setting.source, setting.tokenizer)


def measure(recipe: Recipe, model: HookedModel) -> Metrics:
    """Measure a trained reward model."""
    setting = load_setting()
    return reward_metrics(setting, scorer_from(setting, model), recipe.seed, recipe.training.held_out)


RECIPE = register(
    Recipe(
        name="tales_reward",
        title="Reward model of tales, from simulated preferences",
        architecture="gpt",
        config=REFERENCE.config,
        training=RewardConfig(),
        train=train,
        reads=("tales",),
        targets={"preference_accuracy": 0.66},
        measure=measure,
        based_on=REFERENCE.name,
        dtype="bfloat16",
        note="The reward of a tale is the logit of ' good' minus that of ' bad' after its <|endoftext|>.",
    )
)
