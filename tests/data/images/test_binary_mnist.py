"""Tests of the sampling of binary MNIST."""

import pytest
import torch

from workbench.core.random import generator
from workbench.core.registry import DATASETS
from workbench.data.images.binary_mnist import binarise, grey_mnist


def test_a_pixel_is_white_as_often_as_its_grey_says() -> None:
    images = torch.tensor([0.0, 0.2, 0.7, 1.0]).expand(20_000, 4)
    drawn = binarise(images, generator(0))
    assert set(drawn.unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(drawn.mean(0), images[0], atol=0.015, rtol=0)
    assert torch.equal(drawn, binarise(images, generator(0)))


@pytest.mark.needs_data("mnist")
def test_the_data_set_is_one_draw_of_mnist() -> None:
    data, grey = DATASETS["binary_mnist"](), grey_mnist()
    assert data.train_pixels.shape == grey.train_pixels.shape and int(data.train_pixels.max()) == 1
    assert torch.equal(data.test_inputs, data.test_pixels.float())
    black, white = grey.test_pixels == 0, grey.test_pixels == 255
    assert not data.test_pixels[black].any() and bool(data.test_pixels[white].all())
    assert float(data.test_inputs.mean()) == pytest.approx(float(grey.unit_range(grey.test_pixels).mean()), abs=1e-3)
    assert data.sha256 == DATASETS["binary_mnist"]().sha256 != grey.sha256
