"""Q-network for CartPole, trained by deep Q-learning."""

from functools import partial

from workbench.recipes.recipe import Recipe, register
from workbench.recipes.trainings.control_policy import train
from workbench.training.dqn import DQNConfig, dqn
from workbench.zoo.q_network import QNetworkConfig

RECIPE = register(
    Recipe(
        name="cartpole_dqn",
        title="DQN on CartPole",
        architecture="q_network",
        config=QNetworkConfig(observation=(4,), n_actions=2, hidden=(256, 256)),
        training=DQNConfig(
            steps=50_000, lr=2.3e-3, minibatch=64, optimizer_steps=8, double=False, target_every=16, target_share=1.0,
            epsilon_share=0.16, epsilon_end=0.04, capacity=100_000,
        ),
        train=partial(train, algorithm=dqn, n_envs=16),
        targets={"return_mean": 500.0},
        published="500 (rl-baselines3-zoo)",
        note="The settings of rl-baselines3-zoo, but a falling learning rate; smaller networks forget.",
    )
)  # fmt: skip
