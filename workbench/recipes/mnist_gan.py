"""A DCGAN on MNIST."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from workbench.checkpoints.card import DataSource
from workbench.core.hooked import HookedModel
from workbench.core.random import generator
from workbench.core.registry import DATASETS
from workbench.data.binary_mnist import grey_mnist
from workbench.data.minibatches import minibatches
from workbench.recipes.generated_images import Judge, generated, judge, sample_metrics
from workbench.recipes.recipe import Metrics, Recipe, Session, Trained, register
from workbench.training.adversarial import train_gan
from workbench.training.fit import FitConfig
from workbench.zoo.gan import GANConfig

BATCH = 64
EVALUATED = 2000
"""Generated images of each point of the curve; the card has five times as many."""


def train(recipe: Recipe, model: HookedModel, session: Session) -> Trained:
    """Real images are MNIST's grey digits; samples are measured in the features of `mnist_cnn`."""
    data = DATASETS["mnist"]()
    eyes, net = judge("mnist_cnn", data), model.get_submodule("generator")
    batch = minibatches(grey_mnist(), BATCH, recipe.seed)
    size = recipe.config.n_latents

    def latents(step: int) -> Tensor:
        return torch.randn(BATCH, size, generator=generator(recipe.seed, "latents", step))

    def evaluate(made: nn.Module) -> dict[str, Any]:
        found = sampled(recipe, made, EVALUATED, eyes)
        return {name: found[name] for name in ("frechet_distance", "classes_covered")}

    curve = train_gan(
        net, model.get_submodule("discriminator"), lambda step: batch(step)[0], latents, recipe.training, evaluate,
        session.state, session.progress,
    )  # fmt: skip
    return Trained(curve, measure(recipe, model.eval()), DataSource(data.name, data.sha256, data.note))


def measure(recipe: Recipe, model: HookedModel) -> Metrics:
    """Metrics of as many samples as there are test images."""
    data = DATASETS["mnist"]()
    return sampled(recipe, model.get_submodule("generator"), len(data.test_targets), judge("mnist_cnn", data))


def sampled(recipe: Recipe, made: nn.Module, n: int, eyes: Judge) -> Metrics:
    """Metrics of `n` samples, always the same ones."""
    latents = torch.randn(n, recipe.config.n_latents, generator=generator(recipe.seed, "samples"))
    return sample_metrics(generated(made, latents), eyes)


RECIPE = register(
    Recipe(
        name="mnist_gan",
        title="DCGAN on MNIST",
        architecture="gan",
        config=GANConfig(n_latents=64, out_channels=1, size=28, channels=(32, 64)),
        training=FitConfig(
            steps=6000, optimizer="adam", lr=1e-3, betas=(0.5, 0.999), schedule="cosine", ema=0.999,
            evaluate_every=1500, log_every=50,
        ),
        train=train,
        measure=measure,
        weights="he_normal",
        targets={"frechet_distance": 3.0, "classes_covered": 10},
        note="Images in 0..1. The Frechet distance is between features of mnist_cnn (its 64 averaged channels) for "
        "generated and for test images: not comparable with one between Inception features.",
    )
)  # fmt: skip
