"""Adversarial training of image generators, measured in the features of a trained classifier."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

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
from workbench.recipes.trainings.generated_images import Images, generate, load_judge, sample_metrics
from workbench.training.adversarial import train_gan

EVALUATED = 2000
"""Generated images per point of the curve; the card is measured on as many as there are test images."""
RESAMPLES = 100
"""Number of resamples for the card's intervals."""
FOLLOWED = ("frechet_distance", "classes_covered")
"""Metrics in the curve."""


@dataclass(frozen=True)
class ImageGeneration:
    """Adversarial training on a data set's images in 0..1, measured in the features of a trained classifier."""

    kind: ClassVar[type] = ImageData
    """Type of the data sets that it can read."""

    dataset: str
    """Name of a registered image data set."""
    classifier: str
    """Trained classifier in whose features samples are measured."""
    batch_size: PositiveInt = 64
    more: Callable[[Images, Any], Metrics] | None = None
    """Further metrics of samples, given the data set."""

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, recipe: Recipe, model: HookedModel, session: Session) -> Trained:
        data = self.data()
        eyes, net = load_judge(self.classifier, data), model.get_submodule("generator")
        batch = minibatches(uncentre(data), self.batch_size, recipe.seed)

        def latents(step: int) -> Tensor:
            random = generator(recipe.seed, "latents", step)
            return torch.randn(self.batch_size, recipe.config.n_latents, generator=random)

        def evaluate(made: nn.Module) -> dict[str, Any]:
            found = sample_metrics(draw_samples(recipe, made, EVALUATED), eyes)
            return {name: found[name] for name in FOLLOWED}

        curve = train_gan(
            net, model.get_submodule("discriminator"), lambda step: batch(step)[0], latents, recipe.training, evaluate,
            session.state, session.progress,
        )  # fmt: skip
        return Trained(curve, self.measure(recipe, model.eval()), DataSource(data.name, data.sha256, data.note))

    def measure(self, recipe: Recipe, model: HookedModel) -> Metrics:
        """Measure as many samples as there are test images."""
        data = self.data()
        images = draw_samples(recipe, model.get_submodule("generator"), len(data.test_targets))
        found = sample_metrics(images, load_judge(self.classifier, data), recipe.seed, RESAMPLES)
        return found if self.more is None else found | dict(self.more(images, data))

    def data(self) -> ImageData:
        """Load the images to imitate."""
        return DATASETS[self.dataset]()


def draw_samples(recipe: Recipe, made: nn.Module, n: int) -> Images:
    """Generate the first `n` samples, the same in every call."""
    latents = torch.randn(n, recipe.config.n_latents, generator=generator(recipe.seed, "samples"))
    return generate(made, latents)


def uncentre(data: ImageData) -> ImageData:
    """Return the data set with inputs in 0..1."""
    return replace(data, mean=(0.0,) * len(data.mean), std=(1.0,) * len(data.std))
