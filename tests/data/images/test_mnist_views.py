"""Tests of MNIST at half the size and flattened."""

import pytest
import torch
from torch.nn.functional import avg_pool2d

from workbench.core.registry import DATASETS
from workbench.data.images.mnist_views import halve


def test_half_the_size_is_the_mean_of_four_pixels() -> None:
    pixels = torch.randint(256, (3, 1, 8, 6), generator=torch.Generator().manual_seed(0)).byte()
    assert torch.equal(halve(pixels), avg_pool2d(pixels.float(), 2).round().byte())


@pytest.mark.needs_data("mnist")
def test_flat_digits_are_the_same_numbers_in_a_row() -> None:
    flat, data = DATASETS["flat_mnist"](), DATASETS["mnist"]()
    assert flat.shape == (784,) and flat.sha256 == data.sha256
    assert torch.equal(flat.inputs_from(flat.test_pixels[:9]), data.inputs_from(data.test_pixels[:9]).flatten(1))
