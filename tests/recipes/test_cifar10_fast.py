"""The six views in which a test image is seen."""

from __future__ import annotations

import torch
from torch import nn

from workbench.recipes.cifar10_fast import SixViews


class Corner(nn.Module):
    """The pixels of the four corners of each image, as logits."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images[:, 0, [0, 0, -1, -1], [0, -1, 0, -1]]


def test_the_views_are_the_image_and_both_diagonal_moves_each_with_its_mirror_image() -> None:
    image = torch.arange(16.0).reshape(1, 1, 4, 4)
    # By hand, for the corners at the left: the image and its mirror image, then reflected moves by one pixel.
    top = (0 + 3) / 2 / 2 + (5 + 6) / 2 / 4 + (5 + 6) / 2 / 4
    bottom = (12 + 15) / 2 / 2 + (9 + 10) / 2 / 4 + (9 + 10) / 2 / 4
    assert SixViews(Corner())(image).tolist() == [[top, top, bottom, bottom]]


def test_views_of_an_image_without_detail_are_the_image() -> None:
    image = torch.full((2, 3, 8, 8), 0.7)
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 5))
    torch.testing.assert_close(SixViews(model)(image), model(image))
