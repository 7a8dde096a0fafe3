"""Q-network for MountainCar, trained by deep Q-learning."""

from functools import partial

from workbench.recipes.recipe import Recipe, register
from workbench.recipes.trainings.control_policy import train
from workbench.training.dqn import DQNConfig, dqn
from workbench.zoo.q_network import QNetworkConfig

RECIPE = register(
    Recipe(
        name="mountaincar_dqn",
        title="DQN on MountainCar",
        architecture="q_network",
        config=QNetworkConfig(observation=(2,), n_actions=3, hidden=(128, 128)),
        training=DQNConfig(
            steps=96_000, lr=4e-3, minibatch=128, learn_every=2, optimizer_steps=8, double=False, n_steps=5,
            discount=0.98, target_every=75, target_share=1.0, epsilon_share=0.4, epsilon_start=0.2, epsilon_end=0.005,
            longest=20, capacity=96_000,
        ),
        train=partial(train, algorithm=dqn, n_envs=8, environment="MountainCar-v0", even=True),
        targets={"return_mean": -105.0},
        published="-100.8 (rl-baselines3-zoo)",
        note="Random actions last up to 20 steps: single ones never reach the top in the time there is. Targets sum "
        "five steps and the replay forgets nothing: arrivals are few at first.",
    )
)  # fmt: skip
