"""Trainings of every kind on generated data, a fraction of a second long, for the campaign `kill`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from workbench.checkpoints.card import DataSource
from workbench.core.hooked import HookedModel
from workbench.core.progress import Progress
from workbench.core.random import generator
from workbench.data.environments import make_vector
from workbench.recipes.recipe import Recipe, Session, Trained
from workbench.recipes.trainings.several_seeds import best_of_seeds
from workbench.training.a2c import A2CConfig, a2c
from workbench.training.adversarial import train_gan
from workbench.training.curve import Curve
from workbench.training.dqn import DQNConfig, dqn
from workbench.training.fit_config import FitConfig
from workbench.training.language_modelling import train_language_model
from workbench.training.policy_evaluation import PolicyEvaluation
from workbench.training.ppo import PPOConfig, ppo
from workbench.training.supervised import train_classifier
from workbench.training.variational import train_autoencoder
from workbench.zoo.actor_critic import ActorCriticConfig
from workbench.zoo.gan import GANConfig
from workbench.zoo.gpt import GPTConfig
from workbench.zoo.mlp import MLPConfig
from workbench.zoo.q_network import QNetworkConfig
from workbench.zoo.vae import VAEConfig

DATA = DataSource("made", "ab" * 32)
FIT = FitConfig(steps=60, optimizer="adamw", lr=3e-3, gradient_clip=1.0, checkpoint_every=6, log_every=5, ema=0.9)


def drawn(*shape: int, step: int, name: str) -> torch.Tensor:
    """Numbers in 0..1 for one batch."""
    return torch.rand(shape, generator=generator(0, name, step))


def trained(curve: Curve) -> Trained:
    """What a task gives back: nothing is measured, so that little time passes outside of training."""
    return Trained(curve, {"made": {"value": 1.0, "n": 1}}, DATA)


def classify(recipe: Recipe, model: HookedModel, session: Session) -> Trained:
    def batch(step: int) -> tuple[torch.Tensor, torch.Tensor]:
        inputs = drawn(16, 8, step=step, name="features")
        return inputs, inputs[:, :4].argmax(dim=1)

    return trained(
        train_classifier(model, batch, recipe.training, None, 0.1, session.state, session.progress, session.keep)
    )


def continue_text(recipe: Recipe, model: HookedModel, session: Session) -> Trained:
    def batch(step: int) -> tuple[torch.Tensor, torch.Tensor]:
        tokens = torch.randint(11, (8, 9), generator=generator(0, "tokens", step))
        return tokens[:, :-1], tokens[:, 1:]

    cfg = recipe.training
    return trained(train_language_model(model, batch, cfg, None, session.state, session.progress, session.keep))


def encode_images(recipe: Recipe, model: HookedModel, session: Session) -> Trained:
    def batch(step: int) -> tuple[torch.Tensor, torch.Tensor]:
        images = drawn(8, 1, 8, 8, step=step, name="images")
        return images, images

    curve = train_autoencoder(
        model, batch, recipe.training, checkpoint=session.state, progress=session.progress, keep=session.keep
    )
    return trained(curve)


def imitate_images(recipe: Recipe, model: HookedModel, session: Session) -> Trained:
    curve = train_gan(
        model.get_submodule("generator"), model.get_submodule("discriminator"),
        lambda step: drawn(8, 1, 8, 8, step=step, name="images"), lambda step: drawn(8, 4, step=step, name="latents"),
        recipe.training, checkpoint=session.state, progress=session.progress,
    )  # fmt: skip
    return trained(curve)


def balance_by_ppo(recipe: Recipe, model: HookedModel, session: Session) -> Trained:
    """Two seeds, the better of which is kept: by a number of its weights, since episodes would take long."""

    def learn(fresh: Any, seed: int, progress: Progress, state: Path) -> Curve:
        return ppo(fresh, make_vector("workbench/CartPole-v1", 8), recipe.training, seed, progress, state)

    def judge(policy: Any, seed: int) -> PolicyEvaluation:
        score = float(sum(p.detach().sum() for p in policy.parameters()))
        returns = torch.full((4,), score, dtype=torch.float64)
        return PolicyEvaluation(returns, torch.ones(4, dtype=torch.int64), {"value": score})

    found = best_of_seeds(recipe, model, session, learn, judge, DATA, seeds=2)
    return replace(found, metrics={"made": {"value": 1.0, "n": 1}})


def balance(learn: Callable[..., Curve], keeps: bool) -> Callable[[Recipe, HookedModel, Session], Trained]:
    """A task that learns to balance a pole by one method."""

    def train(recipe: Recipe, model: HookedModel, session: Session) -> Trained:
        envs, keep = make_vector("workbench/CartPole-v1", 8), {"keep": session.keep} if keeps else {}
        cfg = recipe.training
        return trained(
            learn(model, envs, cfg, recipe.seed, progress=session.progress, checkpoint=session.state, **keep)
        )

    return train


def recipe(name: str, architecture: str, config: Any, training: Any, train: Any) -> Recipe:
    return Recipe(f"kill_{name}", name, architecture, config, training, train, {})


ACTORS = ActorCriticConfig(hidden=(16,))
RECIPES: dict[str, Recipe] = {
    "supervised": recipe("supervised", "mlp", MLPConfig(8, (16,), 4), replace(FIT, keep_steps=(0, 20, 50)), classify),
    "gpt": recipe(
        "gpt", "gpt", GPTConfig(d_vocab=11, n_ctx=8, n_layers=1, d_model=16, n_heads=2, dropout=0.1),
        replace(FIT, optimizer="muon", keep_steps=(10, 30)), continue_text,
    ),
    "vae": recipe("vae", "vae", VAEConfig(size=8, channels=(4, 8), n_latents=2), replace(FIT, steps=40),
                  encode_images),
    "gan": recipe("gan", "gan", GANConfig(n_latents=4, size=8, channels=(4, 8), noise=0.1), replace(FIT, steps=30),
                  imitate_images),
    "ppo": recipe("ppo", "actor_critic", ACTORS,
                  PPOConfig(steps=640, segment=16, epochs=2, minibatch=64, checkpoint_every=1), balance_by_ppo),
    "a2c": recipe("a2c", "actor_critic", ACTORS,
                  A2CConfig(steps=1600, segment=8, checkpoint_every=4, keep_updates=(0, 10, 20)), balance(a2c, True)),
    "dqn": recipe("dqn", "q_network", QNetworkConfig(hidden=(16,)),
                  DQNConfig(steps=800, warmup=64, minibatch=16, optimizer_steps=1, capacity=500, log_every=10,
                            n_steps=2), balance(dqn, False)),
}  # fmt: skip
"""One recipe for each kind of training."""


def other(kind: str) -> Recipe:
    """The same kind of training with another setting."""
    plain = RECIPES[kind]
    return plain.with_settings({"lr": plain.training.lr * 2})


def weights_of(model: HookedModel) -> dict[str, np.ndarray]:
    """Every number of a model, to be compared bit for bit."""
    return {name: tensor.numpy() for name, tensor in model.state_dict().items()}
