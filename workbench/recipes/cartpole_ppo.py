"""A small policy that balances CartPole for as long as it lasts, by PPO."""

from functools import partial

import gymnasium

from workbench.checkpoints.card import DataSource
from workbench.core.hooked import HookedModel
from workbench.data.environments import make_vector, rules_sha256
from workbench.recipes.recipe import Recipe, Session, Trained, register
from workbench.training.policy_evaluation import evaluate_policy
from workbench.training.ppo import PPOConfig, ppo
from workbench.zoo.actor_critic import ActorCriticConfig

ENVIRONMENT = "CartPole-v1"
EVALUATION_SEED = 10_000


def train(recipe: Recipe, model: HookedModel, session: Session, n_envs: int = 64) -> Trained:
    """PPO in our vector environment; the returns of greedy episodes in gymnasium's own."""
    envs = make_vector(f"workbench/{ENVIRONMENT}", n_envs)
    curve = ppo(model, envs, recipe.training, recipe.seed, session.progress, session.state, session.keep)
    result = evaluate_policy(model, partial(make_vector, ENVIRONMENT), episodes=100, seed=EVALUATION_SEED)
    metrics = {"return_mean": {"value": result.mean, "n": len(result.returns), "interval": result.interval}}
    note = f"Trained in our vectorised version, evaluated in that of gymnasium {gymnasium.__version__}."
    return Trained(curve, metrics, DataSource(ENVIRONMENT, rules_sha256(ENVIRONMENT), note))


RECIPE = register(
    Recipe(
        name="cartpole_ppo",
        title="PPO policy on CartPole",
        architecture="actor_critic",
        config=ActorCriticConfig(observation=(4,), n_actions=2, hidden=(64, 64)),
        training=PPOConfig(steps=200_000, keep_updates=(0, 10, 30)),
        train=train,
        targets={"return_mean": 500.0},
        note="An easy task: 1.2 % of random linear policies reach 500 too.",
    )
)
