"""The training that all generators of images share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from workbench.checkpoints.card import DataSource
from workbench.core.hooked import HookedModel
from workbench.core.random import generator
from workbench.core.ranges import PositiveInt, check_fields
from workbench.core.registry import DATASETS
from workbench.data.images.image_data import ImageData
from workbench.data.images.minibatches import minibatches
from workbench.recipes.recipe import Metrics, Recipe, Session, Trained
from workbench.recipes.trainings.generated_images import Images, generated, judge, sample_metrics
from workbench.training.adversarial import train_gan

EVALUATED = 2000
"""Generated images of each point of the curve; the card has as many as there are test images."""
RESAMPLES = 100
"""Resamples behind the intervals on the card."""
FOLLOWED = ("frechet_distance", "classes_covered")
"""Metrics that the curve shows."""


@dataclass(frozen=True)
class ImageGeneration:
    """A generator against a discriminator on a data set's pictures in 0..1, seen with a trained classifier's eyes."""

    dataset: str
    """One of the registered data sets of images."""
    classifier: str
    """The trained network in whose features samples are measured."""
    batch_size: PositiveInt = 64
    more: Callable[[Images, Any], Metrics] | None = None
    """Further metrics of samples, given the data set."""

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, recipe: Recipe, model: HookedModel, session: Session) -> Trained:
        data = self.data()
        eyes, net = judge(self.classifier, data), model.get_submodule("generator")
        batch = minibatches(uncentred(data), self.batch_size, recipe.seed)

        def latents(step: int) -> Tensor:
            random = generator(recipe.seed, "latents", step)
            return torch.randn(self.batch_size, recipe.config.n_latents, generator=random)

        def evaluate(made: nn.Module) -> dict[str, Any]:
            found = sample_metrics(samples(recipe, made, EVALUATED), eyes)
            return {name: found[name] for name in FOLLOWED}

        curve = train_gan(
            net, model.get_submodule("discriminator"), lambda step: batch(step)[0], latents, recipe.training, evaluate,
            session.state, session.progress,
        )  # fmt: skip
        return Trained(curve, self.measure(recipe, model.eval()), DataSource(data.name, data.sha256, data.note))

    def measure(self, recipe: Recipe, model: HookedModel) -> Metrics:
        """Metrics of as many samples as there are test images."""
        data = self.data()
        images = samples(recipe, model.get_submodule("generator"), len(data.test_targets))
        found = sample_metrics(images, judge(self.classifier, data), recipe.seed, RESAMPLES)
        return found if self.more is None else found | dict(self.more(images, data))

    def data(self) -> ImageData:
        """What the images are to be like."""
        return DATASETS[self.dataset]()


def samples(recipe: Recipe, made: nn.Module, n: int) -> Images:
    """So many generated images, always the same ones."""
    latents = torch.randn(n, recipe.config.n_latents, generator=generator(recipe.seed, "samples"))
    return generated(made, latents)


def uncentred(data: ImageData) -> ImageData:
    """The data set with its inputs left in 0..1."""
    return replace(data, mean=(0.0,) * len(data.mean), std=(1.0,) * len(data.std))
