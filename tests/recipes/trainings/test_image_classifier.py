"""Tests of the batches of an image classifier's training: the finishing augmentation."""

from dataclasses import replace

import torch

from workbench.core.registry import RECIPES
from workbench.data.images.augmentation import Images
from workbench.recipes.trainings.image_classifier import ImageClassification


def blank(images: Images, generator: torch.Generator) -> Images:
    return torch.zeros_like(images)


def test_the_last_steps_take_the_same_pictures_with_the_finishing_augmentation() -> None:
    recipe = RECIPES["digits_mlp"]
    recipe = replace(recipe, training=replace(recipe.training, steps=10))
    plain, covered, finished = (
        ImageClassification("digits", batch_size=8, augment=augment, finish=finish, finish_steps=n)
        for augment, finish, n in ((None, None, 0), (blank, None, 3), (None, blank, 3))
    )
    data = plain.data()
    expected, first, last = (task.batches(recipe, data) for task in (plain, covered, finished))
    for step in range(10):
        inputs, targets = expected(step)
        assert torch.equal(first(step)[0], inputs) == (step >= 7)
        assert torch.equal(last(step)[0], inputs) == (step < 7)
        assert torch.equal(first(step)[1], targets)
        assert torch.equal(last(step)[1], targets)
