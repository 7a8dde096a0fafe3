"""Policy for CartPole, trained by REINFORCE with the critic as baseline."""

from functools import partial

from workbench.recipes.recipe import Recipe, register
from workbench.recipes.trainings.control_policy import train
from workbench.training.reinforce import REINFORCEConfig, reinforce
from workbench.zoo.actor_critic import ActorCriticConfig

RECIPE = register(
    Recipe(
        name="cartpole_reinforce",
        title="REINFORCE policy on CartPole",
        architecture="actor_critic",
        config=ActorCriticConfig(observation=(4,), n_actions=2, hidden=(64, 64)),
        training=REINFORCEConfig(steps=400_000),
        train=partial(train, algorithm=reinforce, n_envs=16),
        targets={"return_mean": 500.0},
    )
)
