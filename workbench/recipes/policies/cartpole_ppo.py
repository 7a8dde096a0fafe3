"""Policy for CartPole, trained by PPO."""

from functools import partial

from workbench.recipes.recipe import Recipe, register
from workbench.recipes.trainings.control_policy import train
from workbench.training.ppo import PPOConfig, ppo
from workbench.zoo.actor_critic import ActorCriticConfig

RECIPE = register(
    Recipe(
        name="cartpole_ppo",
        title="PPO policy on CartPole",
        architecture="actor_critic",
        config=ActorCriticConfig(observation=(4,), n_actions=2, hidden=(64, 64)),
        training=PPOConfig(steps=200_000, keep_updates=(0, 10, 30)),
        train=partial(train, algorithm=ppo, n_envs=64),
        targets={"return_mean": 500.0},
        published="500 (rl-baselines3-zoo)",
        note="An easy task: 1.2 % of random linear policies reach 500 too.",
    )
)
