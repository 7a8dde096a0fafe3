"""GPT tuned to write tales by PPO with a KL penalty against a learned reward model."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from workbench.core.hooked import HookedModel
from workbench.core.progress import Progress
from workbench.recipes.preferences.tales_gpt import RECIPE as REFERENCE
from workbench.recipes.recipe import Recipe, Session, Trained, register
from workbench.recipes.trainings.tales_outcomes import N_NEW
from workbench.recipes.trainings.tales_preferences import Setting, copy_model, measure_policy, scorer_from
from workbench.recipes.trainings.tales_seeds import run_seeds
from workbench.training.curve import Curve
from workbench.training.rlhf.ppo import KLPPOConfig, Networks, kl_ppo
from workbench.training.rlhf.reward_model import Scorer
from workbench.zoo.layers.sampling import SamplingConfig


def learn(
    cfg: KLPPOConfig, setting: Setting, policy: Any, scorer: Scorer, seed: int, progress: Progress, state: Path
) -> Curve:
    """Train by PPO from the reference's weights; the critic starts as the reward model, as in TRL."""
    critic = scorer_from(setting, copy_model(scorer.gpt))
    networks = Networks(policy.requires_grad_(), critic, setting.reference, scorer)
    sampling = SamplingConfig(cfg.temperature)
    complete = lambda gpt, prompts, random: gpt.complete(prompts, N_NEW, setting.marks.end, random, sampling)
    return kl_ppo(networks, setting.encoded, complete, cfg, seed, progress, state)


def train(recipe: Recipe, model: HookedModel, session: Session) -> Trained:
    """Train by PPO for each seed, with a reward model of its own."""
    return run_seeds(recipe, model, session, partial(learn, recipe.training), own_rewards=True)


RECIPE = register(
    Recipe(
        name="tales_ppo",
        title="GPT tuned by PPO on a learned reward",
        architecture="gpt",
        config=REFERENCE.config,
        training=KLPPOConfig(updates=30),
        train=train,
        reads=("tales",),
        targets={"worst_margin": 0.0, "worst_grammatical": 0.9, "worst_unique": 0.95, "worst_length_error": 0.2},
        dtype="bfloat16",
        measure=measure_policy,
        based_on=REFERENCE.name,
        note="Rewards are those of a simulated annotator; margin is the true reward above that of best of 16.",
    )
)
