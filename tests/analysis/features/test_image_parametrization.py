"""Tests of images parametrized by phases: natural spectrum and colours."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from workbench.analysis.features.image_parametrization import Appearance, fit_appearance, transform


@pytest.fixture
def natural() -> torch.Tensor:
    random = torch.Generator().manual_seed(0)
    grey = torch.randn(6, 1, 8, 8, generator=random, dtype=torch.float64)
    return grey + 0.3 * torch.randn(6, 3, 8, 8, generator=random, dtype=torch.float64) + 1


def unbounded(look: Appearance) -> Appearance:
    return replace(look, low=look.low - 99, high=look.high + 99)


def test_a_single_natural_image_comes_back_from_its_own_phases(natural: torch.Tensor) -> None:
    one = natural[:1]
    look = fit_appearance(one)
    assert_close(look.images(look.phases(one)), one)


def test_mixing_makes_the_colours_covary_as_in_the_batch(natural: torch.Tensor) -> None:
    look = fit_appearance(natural)
    pixels = (natural - look.mean).movedim(1, 0).flatten(1)
    assert_close(look.mixing @ look.mixing.T, pixels @ pixels.T / pixels.shape[1])
    assert_close(look.mixing @ look.unmixing, torch.eye(3, dtype=torch.float64))


def test_whatever_the_phases_the_amplitudes_are_those_of_the_batch(natural: torch.Tensor) -> None:
    look = unbounded(fit_appearance(natural))
    phases = torch.rand(2, *look.amplitude.shape, dtype=torch.float64) * 6
    whitened = torch.einsum("ij,bjhw->bihw", look.unmixing, look.images(phases) - look.mean)
    spectrum = torch.fft.rfft2(whitened, norm="ortho").abs()
    # The first and the last column hold each wave twice, so that two phases speak for one amplitude there.
    assert_close(spectrum[..., 1:-1], look.amplitude[..., 1:-1].expand_as(spectrum[..., 1:-1]))


def test_no_image_leaves_the_range_of_the_batch(natural: torch.Tensor) -> None:
    look = fit_appearance(natural)
    images = look.images(torch.rand(2, *look.amplitude.shape, dtype=torch.float64) * 6)
    assert bool((images >= look.low).all())
    assert bool((images <= look.high).all())


def test_each_image_is_moved_by_its_own_numbers(natural: torch.Tensor) -> None:
    images = natural[:2]
    moves = torch.tensor([[0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.25, 0.0]], dtype=torch.float64)
    still, shifted = transform(images, moves)
    assert_close(still, images[0])
    assert_close(shifted[:, :, :-1], images[1][:, :, 1:])  # a quarter of half of 8 pixels is one pixel
