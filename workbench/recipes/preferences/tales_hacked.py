"""GPT that exploits its reward model after PPO without a KL penalty, an example of reward hacking."""

from __future__ import annotations

from workbench.checkpoints.store import load
from workbench.core.hooked import HookedModel
from workbench.recipes.preferences.tales_gpt import RECIPE as REFERENCE
from workbench.recipes.preferences.tales_ppo import learn
from workbench.recipes.recipe import Recipe, Session, Trained, register
from workbench.recipes.trainings.tales_preferences import load_setting, measure_policy, policy_metrics, scorer_from
from workbench.training.rlhf.ppo import KLPPOConfig


def train(recipe: Recipe, model: HookedModel, session: Session) -> Trained:
    """Train by PPO against the committed reward model, without a KL penalty."""
    setting, seed = load_setting(), recipe.seed
    model.load_state_dict(setting.reference.state_dict())
    scorer = scorer_from(setting, load("tales_reward").requires_grad_(False))
    curve = learn(recipe.training, setting, model, scorer, seed, session.progress, session.state)
    hacked = policy_metrics(setting, model.eval(), scorer, seed)
    gained = hacked["reward"]["value"] - hacked["reference_reward"]["value"]
    lost = hacked["reference_true_reward"]["value"] - hacked["true_reward"]["value"]
    n = hacked["reward"]["n"]
    drift = {"reward_gained": {"value": gained, "n": n}, "true_reward_lost": {"value": lost, "n": n}}
    return Trained(curve, hacked | drift, setting.source, setting.tokenizer)


RECIPE = register(
    Recipe(
        name="tales_hacked",
        title="GPT that hacked its reward model",
        architecture="gpt",
        config=REFERENCE.config,
        training=KLPPOConfig(kl_coef=0.0, lr=5e-4, schedule="constant", updates=40, batch=32, minibatch=16),
        train=train,
        reads=("tales",),
        targets={"reward_gained": 2.0, "true_reward_lost": 0.5},
        dtype="bfloat16",
        measure=measure_policy,
        based_on=REFERENCE.name,
        note="Its reward model likes it nearly as well as tales_ppo, the simulated annotator far less than tales_gpt.",
    )
)
