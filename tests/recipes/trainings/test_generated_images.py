"""Tests of metrics of generated images, on images of known quality."""

from __future__ import annotations

import pytest
import torch

from tests.zoo.small import small
from workbench.core.random import generator
from workbench.data.images.image_data import ImageData, channel_statistics
from workbench.recipes.trainings.generated_images import Judge, generate, sample_metrics


def load_judge() -> Judge:
    pixels = torch.randint(256, (60, 2, 8, 8), generator=generator(0, "pixels")).byte()
    targets = torch.arange(60) % 3
    mean, std = channel_statistics(pixels)
    data = ImageData(
        "noise", pixels[:40], targets[:40], pixels[40:], targets[40:], ("a", "b", "c"), mean, std, "", "", ""
    )
    return Judge(small("cnn").float(), data)


def test_the_test_images_themselves_are_perfect() -> None:
    eyes = load_judge()
    found = sample_metrics(eyes.data.unit_range(eyes.data.test_pixels), eyes)
    assert found["frechet_distance"]["value"] == pytest.approx(0.0, abs=1e-5) and found["frechet_distance"]["n"] == 20
    assert found["nearest_ratio"]["value"] == pytest.approx(1.0)


def test_copies_of_training_images_are_caught() -> None:
    eyes = load_judge()
    found = sample_metrics(eyes.data.unit_range(eyes.data.train_pixels[:20]), eyes)
    assert found["nearest_ratio"]["value"] == pytest.approx(0.0, abs=1e-3)
    assert found["frechet_distance"]["value"] == pytest.approx(found["frechet_distance_of_data"]["value"])


def test_one_image_over_and_over_is_one_class() -> None:
    eyes = load_judge()
    found = sample_metrics(torch.zeros(20, 2, 8, 8), eyes)
    assert found["classes_covered"]["value"] == 1
    assert found["frechet_distance"]["value"] > found["frechet_distance_of_data"]["value"]


def test_images_are_made_in_parts_of_all_codes() -> None:
    images = generate(lambda z: z[:, :, None, None].expand(-1, -1, 2, 2), torch.arange(1201.0)[:, None])
    assert torch.equal(images[:, 0, 0, 0], torch.arange(1201.0))
