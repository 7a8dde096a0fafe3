"""Policy for LunarLander, trained by PPO."""

from functools import partial

from workbench.recipes.recipe import Recipe, register
from workbench.recipes.trainings.control_policy import train
from workbench.training.ppo import PPOConfig, ppo
from workbench.zoo.actor_critic import ActorCriticConfig

RECIPE = register(
    Recipe(
        name="lunarlander_ppo",
        title="PPO policy on LunarLander",
        architecture="actor_critic",
        config=ActorCriticConfig(observation=(8,), n_actions=4, hidden=(64, 64)),
        training=PPOConfig(
            steps=1_000_000, segment=512, minibatch=256, lr=1e-3, discount=0.999, decay=0.98, entropy_bonus=0.01,
        ),
        train=partial(train, algorithm=ppo, n_envs=32, environment="LunarLander-v3"),
        targets={"return_mean": 240.0},
        published="242 on LunarLander-v2 (rl-baselines3-zoo)",
        note="Needs the extra box2d. Steps, discount, decay and entropy bonus are near those of rl-baselines3-zoo.",
    )
)  # fmt: skip
