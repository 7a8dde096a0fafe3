"""GPT tuned by DPO on the preference pairs that the reward model was fitted to."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from workbench.core.hooked import HookedModel
from workbench.core.progress import Progress
from workbench.recipes.preferences.tales_gpt import RECIPE as REFERENCE
from workbench.recipes.recipe import Recipe, Session, Trained, register
from workbench.recipes.trainings.tales_preferences import (
    PAIR_BATCH,
    Setting,
    measure_policy,
    pad_to_same_length,
    training_pairs,
)
from workbench.recipes.trainings.tales_seeds import run_seeds
from workbench.training.curve import Curve
from workbench.training.fit_config import FitConfig
from workbench.training.rlhf.dpo import CompletionLikelihood, DPOConfig, train_dpo
from workbench.training.rlhf.reward_model import Scorer, pair_batches


def learn(
    cfg: DPOConfig, setting: Setting, policy: Any, scorer: Scorer, seed: int, progress: Progress, state: Path
) -> Curve:
    """Train by DPO from the reference's weights; the reward model is used only to measure."""
    pairs = training_pairs(setting, seed)
    first, second = pad_to_same_length(pairs.first.rows, pairs.second.rows, setting.marks.end)
    batch = pair_batches(first, second, pairs.prefers_first, PAIR_BATCH, seed)
    tuned, reference = (
        CompletionLikelihood(policy.requires_grad_(), setting.marks),
        CompletionLikelihood(setting.reference, setting.marks),
    )
    return train_dpo(tuned, reference, batch, cfg, checkpoint=state, progress=progress)


def train(recipe: Recipe, model: HookedModel, session: Session) -> Trained:
    """Train by DPO for each seed, on pairs of its own."""
    return run_seeds(recipe, model, session, partial(learn, recipe.training), own_rewards=False)


RECIPE = register(
    Recipe(
        name="tales_dpo",
        title="GPT tuned by DPO on simulated preferences",
        architecture="gpt",
        config=REFERENCE.config,
        training=DPOConfig(
            FitConfig(steps=56, lr=3e-4, betas=(0.9, 0.99), schedule="linear", warmup=10, gradient_clip=1.0),
            sft_coef=1.0,
        ),
        train=train,
        reads=("tales",),
        targets={"worst_margin": -1.0, "worst_grammatical": 0.9, "worst_unique": 0.95, "worst_length_error": 0.2},
        dtype="bfloat16",
        measure=measure_policy,
        based_on=REFERENCE.name,
        note="Rewards are those of a simulated annotator; margin is the true reward above that of best of 16.",
    )
)
