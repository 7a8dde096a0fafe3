"""A reward model for tales, learned from simulated preferences: the network that PPO optimises against."""

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
    labelled_by_person,
    learn_reward,
    reward_metrics,
    scorer_from,
    setting,
    training_pairs,
)
from workbench.training.fit_config import FitConfig


@dataclass(frozen=True)
class RewardConfig:
    """Preferences to learn from, and how; `held_out` more of them measure what was learned."""

    fit: FitConfig = REWARD_TRAINING
    pairs: PositiveInt = PAIRS
    held_out: PositiveInt = HELD_OUT
    labels: str = ""
    """A file of a person's preferences (JSON lines) to learn from in place of simulated ones."""

    def __post_init__(self) -> None:
        check_fields(self)


def train(recipe: Recipe, model: HookedModel, session: Session) -> Trained:
    """Bradley-Terry's likelihood on pairs of tales by the reference, from the reference's own weights."""
    at, cfg = setting(), recipe.training
    model.load_state_dict(at.reference.state_dict())
    scorer = scorer_from(at, model)
    pairs = labelled_by_person(at, Path(cfg.labels)) if cfg.labels else training_pairs(at, recipe.seed, cfg.pairs)
    curve = learn_reward(at, scorer, pairs, recipe.seed, cfg.fit, session.state, session.progress)
    return Trained(curve, reward_metrics(at, scorer, recipe.seed, cfg.held_out), at.source, at.tokenizer)


def measure(recipe: Recipe, model: HookedModel) -> Metrics:
    """The same of a trained reward model."""
    at = setting()
    return reward_metrics(at, scorer_from(at, model), recipe.seed, recipe.training.held_out)


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
