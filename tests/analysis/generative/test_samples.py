"""Tests of quality measures of samples against closed forms."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from workbench.analysis.generative.samples import (
    class_shares,
    classes_covered,
    frechet_distance,
    nearest_distance,
    nearest_row,
    square_root,
)
from workbench.core.errors import InputError
from workbench.core.random import generator


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=generator(seed, "samples"), dtype=torch.float64)


@given(seed=st.integers(0, 2**16))
def test_a_shift_costs_its_square_and_the_same_set_nothing(seed: int) -> None:
    x, shift = draw(50, 4, seed=seed), draw(4, seed=seed + 1)
    assert_close(frechet_distance(x, x), torch.zeros((), dtype=torch.float64), atol=1e-6, rtol=0)
    assert_close(frechet_distance(x, x + shift), shift.square().sum(), atol=1e-6, rtol=1e-6)


@given(seed=st.integers(0, 2**16), factor=st.floats(0.1, 5))
def test_a_stretch_costs_the_squared_difference_of_standard_deviations(seed: int, factor: float) -> None:
    x = draw(60, 3, seed=seed)
    x = x - x.mean(dim=0)
    total = x.var(dim=0).sum()
    assert_close(frechet_distance(x, factor * x), (factor - 1) ** 2 * total, atol=1e-6, rtol=1e-6)


def test_it_is_symmetric_and_invariant_under_rotation() -> None:
    x, y = draw(80, 5, seed=1), draw(70, 5, seed=2) @ draw(5, 5, seed=3)
    turn = torch.linalg.qr(draw(5, 5, seed=4)).Q
    assert_close(frechet_distance(x, y), frechet_distance(y, x))
    assert_close(frechet_distance(x @ turn, y @ turn), frechet_distance(x, y))


def test_the_square_root_squares_to_the_matrix() -> None:
    matrix = draw(4, 4) @ draw(4, 4).T
    assert_close(square_root(matrix) @ square_root(matrix), matrix)


def test_one_row_has_no_covariance() -> None:
    with pytest.raises(InputError, match="two rows"):
        frechet_distance(draw(1, 3), draw(5, 3))


def test_classes_with_a_tenth_of_an_equal_share_count() -> None:
    classes = torch.tensor([0] * 900 + [1] * 96 + [2] * 4)
    assert_close(class_shares(classes, 4), torch.tensor([0.9, 0.096, 0.004, 0.0]))
    assert classes_covered(classes, 4) == 2
    assert classes_covered(classes, 4, share=0.01) == 3


def test_the_nearest_distance_is_the_least_of_all() -> None:
    rows, among = draw(7, 2, 3), draw(9, 2, 3, seed=1)
    expected = (rows[:, None] - among[None]).flatten(2).norm(dim=2).amin(dim=1)
    assert_close(nearest_distance(rows, among, chunk=3), expected)
    rowwise = (rows[:, None] - among[None]).flatten(2).norm(dim=2).argmin(dim=1)
    assert torch.equal(nearest_row(rows, among, chunk=3), rowwise)
    assert_close(nearest_distance(among[2:3], among), torch.zeros(1, dtype=torch.float64), atol=1e-6, rtol=0)
