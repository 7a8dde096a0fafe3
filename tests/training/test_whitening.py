"""Tests of whitening kernels."""

import torch
from torch.nn.functional import conv2d
from torch.testing import assert_close

from workbench.training.whitening import whitening_kernels


def pictures() -> torch.Tensor:
    """Neighbouring pixels and channels alike, as in photographs."""
    noise = torch.randn(50, 2, 9, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return conv2d(noise, torch.rand(3, 2, 3, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64))


def test_whitened_patches_are_uncorrelated_with_variance_one() -> None:
    images = pictures()
    kernels = whitening_kernels(images, patch=2, eps=0.0)
    white = conv2d(images, kernels[:12]).movedim(1, 0).flatten(1)
    assert_close(torch.cov(white), torch.eye(12, dtype=torch.float64))


def test_the_second_half_of_the_kernels_is_the_first_with_opposite_sign() -> None:
    kernels = whitening_kernels(pictures(), patch=3)
    assert kernels.shape == (2 * 3 * 9, 3, 3, 3)
    assert torch.equal(kernels[:27], -kernels[27:])
