"""Convolutional policy for MinAtar's Breakout, trained by PPO."""

from functools import partial

from workbench.recipes.recipe import Recipe, register
from workbench.recipes.trainings.control_policy import train
from workbench.training.ppo import PPOConfig, ppo
from workbench.zoo.actor_critic import ActorCriticConfig

RECIPE = register(
    Recipe(
        name="minatar_breakout_ppo",
        title="PPO policy on MinAtar Breakout",
        architecture="actor_critic",
        config=ActorCriticConfig(
            observation=(4, 10, 10), n_actions=3, trunk="convolutional", channels=(8,), hidden=(64,),
            activation="relu", critic="shared",
        ),
        training=PPOConfig(
            steps=2_000_000, segment=128, epochs=3, minibatch=1024, lr=5e-3, discount=0.99, decay=0.95,
            entropy_bonus=0.04,
        ),
        train=partial(train, algorithm=ppo, n_envs=64, environment="workbench/MinAtarBreakout-v0", seeds=3),
        targets={"return_mean": 15.0},
        note="Needs the extra minatar. Sticky actions (0.1) as published, episodes of at most 1000 steps, three seeds. "
        "With an entropy bonus of 0.01, smaller segments and half the rate it stayed near 7, dying at one place.",
    )
)  # fmt: skip
