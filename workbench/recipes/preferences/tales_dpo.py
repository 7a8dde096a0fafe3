"""Direct preference optimisation on the pairs that taught the reward model."""

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
    equally_long,
    policy_measured,
    training_pairs,
)
from workbench.recipes.trainings.tales_seeds import run_seeds
from workbench.training.curve import Curve
from workbench.training.fit_config import FitConfig
from workbench.training.rlhf.dpo import CompletionLikelihood, DPOConfig, train_dpo
from workbench.training.rlhf.reward_model import Scorer, pair_batches


def learn(
    cfg: DPOConfig, at: Setting, policy: Any, scorer: Scorer, seed: int, progress: Progress, state: Path
) -> Curve:
    """DPO from the reference's weights; the reward model only measures."""
    pairs = training_pairs(at, seed)
    first, second = equally_long(pairs.first.rows, pairs.second.rows, at.marks.end)
    batch = pair_batches(first, second, pairs.prefers_first, PAIR_BATCH, seed)
    tuned, reference = (
        CompletionLikelihood(policy.requires_grad_(), at.marks),
        CompletionLikelihood(at.reference, at.marks),
    )
    return train_dpo(tuned, reference, batch, cfg, checkpoint=state, progress=progress)


def train(recipe: Recipe, model: HookedModel, session: Session) -> Trained:
    """DPO for each seed, on pairs of its own."""
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
        measure=policy_measured,
        based_on=REFERENCE.name,
        note="Rewards are those of a simulated annotator; margin is the true reward above that of best of 16.",
    )
)
