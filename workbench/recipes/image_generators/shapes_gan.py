"""DCGAN on drawn shapes, whose factors of variation are known."""

from __future__ import annotations

from typing import Any

import torch

from workbench.analysis.generative.samples import classes_covered, nearest_row
from workbench.data.images.shapes import COLOURS, FactorData, nearest_colour
from workbench.recipes.recipe import Recipe, register
from workbench.recipes.trainings.generated_images import Images
from workbench.recipes.trainings.image_gan import ImageGeneration
from workbench.training.fit import FitConfig
from workbench.training.scores import share_score
from workbench.zoo.gan import GANConfig


def factors_of_samples(images: Images, data: FactorData) -> dict[str, dict[str, Any]]:
    """Measure the number of colours in the samples and the share of samples nearest to an untrained combination.

    The data set holds every combination, a fifth of them left out of training. A generator that has learned the factors
    comes near a left-out combination in a fifth of its samples, one that copies training images in none.
    """
    train, test = data.unit_range(data.train_pixels), data.unit_range(data.test_pixels)
    left_out = nearest_row(images, torch.cat([train, test])) >= len(train)
    covered = classes_covered(nearest_colour(images), len(COLOURS))
    return {
        "colours_covered": {"value": covered, "n": len(images)},
        "left_out_share": share_score(left_out),
    }


LEARNING = ImageGeneration("shapes", classifier="shapes_cnn", batch_size=32, more=factors_of_samples)

RECIPE = register(
    Recipe(
        name="shapes_gan",
        title="DCGAN on drawn shapes",
        architecture="gan",
        config=GANConfig(n_latents=64, out_channels=3, size=24, channels=(32, 64), noise=0.1),
        training=FitConfig(
            steps=9000, optimizer="adam", lr=2e-3, betas=(0.5, 0.999), schedule="cosine", ema=0.999,
            precision="bf16", evaluate_every=3000, log_every=100, checkpoint_every=500,
        ),
        train=LEARNING,
        measure=LEARNING.measure,
        weights="he_normal",
        targets={"frechet_distance": 8.0, "classes_covered": 4, "colours_covered": 6, "left_out_share": 0.1},
        note="Images in 0..1. The Frechet distance is between features of shapes_cnn (its 32 averaged channels) for "
        "generated and for test images: not comparable with one between Inception features.",
    )
)  # fmt: skip
