"""Tests of quality measures of feature visualizations, on activations and images with known scores."""

from __future__ import annotations

import math

import torch

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
