"""Convolutional Q-network for MinAtar's Breakout, trained by deep Q-learning."""

from functools import partial

from workbench.recipes.recipe import Recipe, register
from workbench.recipes.trainings.control_policy import train
from workbench.training.dqn import DQNConfig, dqn
from workbench.zoo.q_network import QNetworkConfig

RECIPE = register(
    Recipe(
        name="minatar_breakout_dqn",
        title="DQN on MinAtar Breakout",
        architecture="q_network",
        config=QNetworkConfig(
            observation=(4, 10, 10), n_actions=3, trunk="convolutional", channels=(8,), hidden=(64,)
        ),
        training=DQNConfig(
            steps=320_000, lr=5e-4, minibatch=64, optimizer_steps=2, target_every=125, target_share=1.0,
            epsilon_end=0.05, epsilon_share=0.3, warmup=5000, capacity=50_000, log_every=400,
        ),
        train=partial(train, algorithm=dqn, n_envs=16, environment="workbench/MinAtarBreakout-v0", seeds=3),
        targets={"return_mean": 5.0},
        note="Needs the extra minatar. Sticky actions (0.1) as published, episodes of at most 1000 steps, three seeds; "
        "a sixteenth of the published frames (Young and Tian 2019: 5 million) and half their filters.",
    )
)  # fmt: skip
