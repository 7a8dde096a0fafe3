"""Q-network for Acrobot, trained by deep Q-learning."""

from functools import partial

from workbench.recipes.recipe import Recipe, register
from workbench.recipes.trainings.control_policy import train
from workbench.training.dqn import DQNConfig, dqn
from workbench.zoo.q_network import QNetworkConfig

RECIPE = register(
    Recipe(
        name="acrobot_dqn",
        title="DQN on Acrobot",
        architecture="q_network",
        config=QNetworkConfig(observation=(6,), n_actions=3, hidden=(256, 256), duelling=True),
        training=DQNConfig(
            steps=100_000, lr=6.3e-4, minibatch=128, optimizer_steps=8, double=False, target_every=16, target_share=1.0,
            epsilon_share=0.12, epsilon_end=0.02, capacity=100_000,
        ),
        train=partial(train, algorithm=dqn, n_envs=16, environment="Acrobot-v1"),
        targets={"return_mean": -80.0},
        published="-76.6 (rl-baselines3-zoo)",
        note="The settings of rl-baselines3-zoo, but a duelling read-out, half the optimiser steps, a falling rate, "
        "fewer random actions at the end (2 % for 10 %) and a replay that forgets nothing.",
    )
)  # fmt: skip
