"""Policy for Acrobot, trained by PPO."""

from functools import partial

from workbench.recipes.recipe import Recipe, register
from workbench.recipes.trainings.control_policy import train
from workbench.training.ppo import PPOConfig, ppo
from workbench.zoo.actor_critic import ActorCriticConfig

RECIPE = register(
    Recipe(
        name="acrobot_ppo",
        title="PPO policy on Acrobot",
        architecture="actor_critic",
        config=ActorCriticConfig(observation=(6,), n_actions=3, hidden=(64, 64)),
        training=PPOConfig(
            steps=1_000_000, segment=64, minibatch=256, lr=1e-3, discount=0.99, decay=0.94, value_weight=0.01
        ),
        train=partial(train, algorithm=ppo, n_envs=64, environment="Acrobot-v1", even=True),
        targets={"return_mean": -80.0},
        published="-73.5 (rl-baselines3-zoo)",
        note="A critic of larger weight leaves the policy little of the clipped gradient: the return stays near -83.",
    )
)
