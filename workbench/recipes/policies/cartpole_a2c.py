"""Policy for CartPole, trained by advantage actor-critic."""

from functools import partial

from workbench.recipes.recipe import Recipe, register
from workbench.recipes.trainings.control_policy import train
from workbench.training.a2c import A2CConfig, a2c
from workbench.zoo.actor_critic import ActorCriticConfig

RECIPE = register(
    Recipe(
        name="cartpole_a2c",
        title="A2C policy on CartPole",
        architecture="actor_critic",
        config=ActorCriticConfig(observation=(4,), n_actions=2, hidden=(64, 64)),
        training=A2CConfig(),
        train=partial(train, algorithm=a2c, n_envs=32),
        targets={"return_mean": 500.0},
        published="500 (rl-baselines3-zoo)",
    )
)
