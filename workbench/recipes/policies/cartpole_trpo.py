"""Policy for CartPole, trained by trust region policy optimisation."""

from functools import partial

from workbench.recipes.recipe import Recipe, register
from workbench.recipes.trainings.control_policy import train
from workbench.training.trpo import TRPOConfig, trpo
from workbench.zoo.actor_critic import ActorCriticConfig

RECIPE = register(
    Recipe(
        name="cartpole_trpo",
        title="TRPO policy on CartPole",
        architecture="actor_critic",
        config=ActorCriticConfig(observation=(4,), n_actions=2, hidden=(64, 64)),
        training=TRPOConfig(),
        train=partial(train, algorithm=trpo, n_envs=32),
        targets={"return_mean": 500.0},
        published="500 (rl-baselines3-zoo)",
    )
)
