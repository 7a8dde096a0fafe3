"""Tests of disentanglement scores on latents whose scores are known."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from workbench.analysis.generative.disentanglement import (
    bin_codes,
    entropy,
    mutual_information,
    mutual_information_gap,
    mutual_informations,
    predictability,
    separated_predictability,
)
from workbench.core.errors import InputError
from workbench.core.random import generator


def grid() -> torch.Tensor:
    """Two independent factors of 4 and 5 values, every combination as often, in random order."""
    rows = torch.cartesian_prod(torch.arange(4), torch.arange(5)).repeat(100, 1)
    return rows[torch.randperm(len(rows), generator=generator(0, "grid"))]


def test_information_of_known_variables() -> None:
    first, second = grid().unbind(1)
    assert float(entropy(first)) == pytest.approx(math.log(4))
    assert float(mutual_information(first, first)) == pytest.approx(math.log(4))
    assert float(mutual_information(first, second)) == pytest.approx(0.0, abs=1e-12)
    assert float(mutual_information(first // 2, first)) == pytest.approx(math.log(2))


@given(seed=st.integers(0, 2**16))
def test_information_is_symmetric_and_below_both_entropies(seed: int) -> None:
    one, other = torch.randint(4, (2, 50), generator=generator(seed, "pair")).unbind(0)
    value = mutual_information(one, other)
    assert_close(value, mutual_information(other, one))
    assert -1e-9 <= float(value) <= min(float(entropy(one)), float(entropy(other))) + 1e-9


def test_one_latent_for_each_factor_is_perfect() -> None:
    factors = grid()
    codes = torch.cat([-factors.double(), torch.zeros(len(factors), 1)], dim=1)
    assert_close(mutual_information_gap(codes, factors), torch.ones(2, dtype=torch.float64), check_dtype=False)
    found = separated_predictability(codes, factors)
    chance = torch.stack([predictability(codes, factors)[2, i] for i in range(2)])
    assert_close(found, 1 - torch.maximum(chance, predictability(codes, factors)[[1, 0], [0, 1]]))


def test_two_latents_for_one_factor_leave_no_gap() -> None:
    factors = grid()
    codes = torch.stack([factors[:, 0], -factors[:, 0], factors[:, 1]], dim=1).double()
    assert float(mutual_information_gap(codes, factors)[0]) == pytest.approx(0.0, abs=1e-9)
    assert float(mutual_information_gap(codes, factors)[1]) == pytest.approx(1.0)
    assert float(separated_predictability(codes, factors)[0]) == 0.0


def test_half_of_a_factor_is_half_of_its_information() -> None:
    factors = grid()[:, :1]
    codes = torch.stack([factors[:, 0], factors[:, 0] // 2], dim=1).double()
    expected = torch.tensor([[1.0], [0.5]])
    assert_close(mutual_informations(codes, factors), expected, check_dtype=False)
    assert_close(predictability(codes, factors), expected, atol=0.03, rtol=0, check_dtype=False)


def test_bins_reach_from_the_lowest_to_the_highest() -> None:
    codes = torch.tensor([[0.0], [0.24], [0.26], [0.99], [1.0]])
    assert bin_codes(codes, 4)[:, 0].tolist() == [0, 0, 1, 3, 3]
    assert bin_codes(torch.full((3, 1), 2.0)).unique().tolist() == [0]


def test_a_single_latent_has_no_second() -> None:
    with pytest.raises(InputError, match="two latents"):
        mutual_information_gap(torch.rand(10, 1), grid()[:10])
