"""Variational autoencoder on binarised MNIST."""

from __future__ import annotations

from workbench.checkpoints.card import DataSource
from workbench.core.hooked import HookedModel
from workbench.core.registry import DATASETS
from workbench.data.images.binary_mnist import binarise, grey_mnist
from workbench.data.images.minibatches import minibatches
from workbench.recipes.recipe import Metrics, Recipe, Session, Trained, register
from workbench.training.fit import FitConfig
from workbench.training.variational import autoencoder_metrics, train_autoencoder
from workbench.zoo.vae import VAEConfig

SAMPLES = 64
"""Codes per image for the importance-weighted bound."""
EVALUATED = 1000
"""Test images per point of the curve; the card is measured on all of them."""


def train(recipe: Recipe, model: HookedModel, session: Session) -> Trained:
    """Train on digits that are binarised anew in every step; the test digits are binarised once."""
    data = DATASETS["binary_mnist"]()
    batch = minibatches(grey_mnist(), 128, recipe.seed, binarise)
    test = data.test_inputs
    curve = train_autoencoder(
        model, batch, recipe.training, test[:EVALUATED],
        checkpoint=session.state, progress=session.progress, keep=session.keep,
    )  # fmt: skip
    return Trained(curve, measure(recipe, model), DataSource(data.name, data.sha256, data.note))


def measure(recipe: Recipe, model: HookedModel) -> Metrics:
    """Measure the bounds on all test digits."""
    return autoencoder_metrics(model, DATASETS["binary_mnist"]().test_inputs, recipe.seed, SAMPLES)


RECIPE = register(
    Recipe(
        name="mnist_vae",
        title="VAE on binarised MNIST",
        architecture="vae",
        config=VAEConfig(in_channels=1, size=28, channels=(32, 64), n_latents=32),
        training=FitConfig(
            steps=24 * 468, optimizer="adamw", lr=2e-3, schedule="cosine", warmup=200,
            gradient_clip=100.0, evaluate_every=2 * 468, log_every=117, ema=0.999,
        ),
        train=train,
        reads=("binary_mnist",),
        measure=measure,
        targets={"elbo_loss": 100.0},
        published="log-likelihood -86.8 nats (Burda et al. 2016)",
        note="Bernoulli likelihood. Trained on digits binarised anew in every step, tested on one fixed draw of our "
        f"own (not Larochelle's). The bound uses one code for each image, the importance-weighted one {SAMPLES}.",
    )
)  # fmt: skip
