"""Convolutional policy for random mazes, trained with goals in one corner and tested with goals anywhere."""

from __future__ import annotations

from workbench.checkpoints.card import DataSource
from workbench.core.hooked import HookedModel
from workbench.data.environments import make_vector, rules_sha256
from workbench.recipes.recipe import Metrics, Recipe, Session, Trained, register
from workbench.recipes.trainings.maze_outcomes import maze_metrics
from workbench.training.ppo import PPOConfig, ppo
from workbench.zoo.actor_critic import ActorCriticConfig

ENVIRONMENT = "workbench/Maze-v0"
EVALUATION_SEED = 10_000_000


def train(recipe: Recipe, model: HookedModel, session: Session, n_envs: int = 64) -> Trained:
    """Train by PPO with the goal in the corner; measure greedy episodes with the goal there and anywhere."""
    envs = make_vector(ENVIRONMENT, n_envs)
    curve = ppo(model, envs, recipe.training, recipe.seed, session.progress, session.state, session.keep)
    note = "A new random maze for every episode, in training and in evaluation; goals in the same 3x3 corner."
    data = DataSource(ENVIRONMENT, rules_sha256(ENVIRONMENT), note)
    return Trained(curve, measure(recipe, model), data)


def measure(recipe: Recipe, model: HookedModel) -> Metrics:
    """Measure greedy episodes in new mazes."""
    return maze_metrics(model, seed=EVALUATION_SEED)


RECIPE = register(
    Recipe(
        name="maze_ppo",
        title="PPO policy on random mazes",
        architecture="actor_critic",
        config=ActorCriticConfig(
            observation=(3, 7, 7), n_actions=4, trunk="convolutional", channels=(16, 32), hidden=(128,),
            activation="relu", critic="shared",
        ),
        training=PPOConfig(
            steps=4_500_000, epochs=3, lr=2e-3, discount=0.95, decay=0.95, entropy_bonus=0.01, kl_stop=0.05,
        ),
        train=train,
        reads=(ENVIRONMENT,),
        measure=measure,
        targets={"success": 0.95},
        note="Goal misgeneralization in miniature: compare success with success_elsewhere and corner_instead.",
    )
)  # fmt: skip
