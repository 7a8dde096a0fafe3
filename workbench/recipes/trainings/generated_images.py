"""Metrics of generated images in the features of a trained classifier."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from workbench.analysis.generative.samples import classes_covered, frechet_distance, nearest_distance
from workbench.checkpoints.store import load
from workbench.core.hooked import HookedModel
from workbench.data.images.image_data import ImageData
from workbench.training.scores import biased_score, bootstrapped_score

Images = Float[Tensor, "batch channel height width"]
FEATURES = "readout.hook_pooled"
"""Hook of the classifier's features."""
NEIGHBOURS = 1000
"""Number of images of each kind for distances to the nearest training image."""


@dataclass(frozen=True)
class Judge:
    """Trained classifier and the data set whose normalisation it expects."""

    classifier: HookedModel
    data: ImageData

    @torch.no_grad()
    def inspect(self, images: Images) -> tuple[Float[Tensor, "batch feature"], Float[Tensor, "batch class"]]:
        """Compute features and logits of images in 0..1. Cost: One forward pass."""
        features, logits = [], []
        for part in self.data.normalize(images).split(500):
            output, cache = self.classifier.run_with_cache(part, FEATURES)
            features.append(cache[FEATURES])
            logits.append(output)
        return torch.cat(features), torch.cat(logits)


def load_judge(classifier: str, data: ImageData) -> Judge:
    """Load the trained classifier of that name."""
    return Judge(load(classifier), data)


@torch.no_grad()
def generate(make: Callable[[Tensor], Images], latents: Float[Tensor, "batch latent"]) -> Images:
    """Generate the images of many codes."""
    return torch.cat([make(part) for part in latents.split(500)])


def sample_metrics(images: Images, eyes: Judge, seed: int = 0, draws: int = 2) -> dict[str, dict[str, Any]]:
    """Measure generated images in 0..1, at most as many as there are test images.

    `frechet_distance` is the distance to the test images, `frechet_distance_of_data` that of as many training images,
    the value of perfect samples. `classes_covered` counts classes with at least a tenth of an equal share.
    `nearest_ratio` is the median distance to the nearest training image, divided by that of test images; values far
    below 1 mean copies. Intervals are from `draws` resamples of images of both kinds.
    """
    data = eyes.data
    train, test = data.unit_range(data.train_pixels), data.unit_range(data.test_pixels)
    n, few = min(len(images), len(test)), min(NEIGHBOURS, len(images), len(test))
    features, logits = eyes.inspect(images[:n])
    reference, real = eyes.inspect(test[:n])[0], eyes.inspect(train[:n])[0]
    certainty = logits.softmax(dim=1).amax(dim=1)
    near, test_near = (nearest_distance(x[:few], train) for x in (images, test))
    return {
        "frechet_distance": biased_score(
            lambda rows: float(frechet_distance(features[rows], reference[rows])), n, seed, draws
        ),
        "classes_covered": {"value": classes_covered(logits.argmax(dim=1), len(data.class_names)), "n": n},
        "frechet_distance_of_data": biased_score(
            lambda rows: float(frechet_distance(real[rows], reference[rows])), n, seed, draws
        ),
        "confidence": bootstrapped_score(lambda rows: float(certainty[rows].mean()), n, seed, draws),
        "nearest_ratio": bootstrapped_score(
            lambda rows: float(near[rows].median() / test_near[rows].median()), few, seed, draws
        ),
    }
