"""Tests of metrics of generated shapes, on samples whose factors are known."""

from __future__ import annotations

import torch

from workbench.data.images.shapes import FactorData, shapes
from workbench.recipes.image_generators.shapes_gan import factors_of_samples


def found(images: torch.Tensor, data: FactorData) -> tuple[float, float]:
    metrics = factors_of_samples(images, data)
    assert {metric["n"] for metric in metrics.values()} == {len(images)}
    return metrics["colours_covered"]["value"], metrics["left_out_share"]["value"]


def test_training_pictures_are_never_and_test_pictures_always_left_out() -> None:
    data = shapes()
    train, test = (data.unit_range(pixels[:300]) for pixels in (data.train_pixels, data.test_pixels))
    assert found(train, data) == (6, 0.0)
    assert found(test, data) == (6, 1.0)
    assert found(torch.cat([train[:90], test[:30]]), data)[1] == 0.25


def test_one_colour_is_one() -> None:
    data = shapes()
    red = data.unit_range(data.train_pixels[data.train_factors[:, -1] == 0][:50])
    assert found(red, data)[0] == 1
