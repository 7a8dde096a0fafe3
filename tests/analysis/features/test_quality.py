"""Criteria of feature visualisation on activations and pictures whose scores can be said beforehand."""

from __future__ import annotations

import math

import torch
from torch.testing import assert_close

from workbench.analysis.features import quality


def test_success_and_gain_compare_with_the_best_natural_activation() -> None:
    reached, natural = torch.tensor([3.0, 1.0, 2.0, 2.0]), torch.tensor([1.5, 2.0, 0.0, 2.0])
    assert quality.success(reached, natural).tolist() == [True, False, True, False]
    gain = quality.gain(reached, natural)
    assert gain[:2].tolist() == [2.0, 0.5]
    assert math.isnan(gain[2])


def test_the_top_unit_stands_out_in_deviations_and_not_in_raw_size() -> None:
    reference = torch.tensor([[0.0, 100.0], [1.0, 300.0]])
    reached = torch.tensor([[2.0, 290.0], [0.5, 500.0]])
    assert quality.top_unit(reached, torch.tensor([0, 1]), reference).tolist() == [True, True]
    assert quality.top_unit(reached, torch.tensor([1, 0]), reference).tolist() == [False, False]


def test_a_unit_dead_on_the_reference_does_not_outdo_all_others() -> None:
    reference = torch.tensor([[0.0, 0.0], [0.0, 1.0]])
    assert quality.top_unit(torch.tensor([[0.01, 3.0]]), torch.tensor([1]), reference).tolist() == [True]


def test_the_top_image_is_the_one_its_unit_likes_best() -> None:
    reached = torch.tensor([[5.0, 1.0, 9.0], [6.0, 2.0, 0.0]])
    assert quality.top_image(reached, torch.tensor([0, 1])).tolist() == [False, True]


def test_a_wave_has_all_its_power_at_its_own_frequency() -> None:
    wave = torch.cos(2 * torch.pi * 3 * torch.arange(16, dtype=torch.float64) / 16).expand(1, 1, 16, 16)
    assert int(quality.radial_power(wave).argmax()) == 3 - 1


def test_ten_times_the_contrast_is_20_decibels_at_every_frequency() -> None:
    images = torch.randn(4, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    assert_close(quality.spectrum_difference(10 * images, images), torch.tensor(20.0))
    assert_close(quality.spectrum_difference(images + 7, images), torch.tensor(0.0), atol=1e-4, rtol=0)


def test_seed_identity_counts_units_that_find_themselves_again() -> None:
    one = torch.eye(4)
    assert float(quality.seed_identity(one, 3 * one)) == 1
    assert float(quality.seed_identity(one, one[[1, 0, 2, 3]])) == 0.5
