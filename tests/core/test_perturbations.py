"""Tests of perturbed rows: valid, different, and without an effect on other rows."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from workbench.core.perturbations import empty, enlarge, mix, negate, neighbours, perturb

CHANGES = (mix, enlarge, negate, empty)
KINDS = (torch.float64, torch.complex64, torch.int64, torch.bool)


def values(dtype: torch.dtype, shape: tuple[int, ...] = (4, 3)) -> Tensor:
    """Different numbers, as far as the type has so many."""
    return (torch.arange(1, torch.Size(shape).numel() + 1).reshape(shape) % (2 if dtype == torch.bool else 99)).to(
        dtype
    )


@pytest.mark.parametrize("shape", [(2, 1), (3, 1), (1, 2), (2, 2), (4, 3), (2, 3, 2)])
def test_mixed_entries_are_the_same_at_other_places(shape: tuple[int, ...]) -> None:
    x = values(torch.float64, shape)
    assert not torch.equal(mix(x), x)
    assert mix(x).flatten().sort().values.equal(x.flatten())


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_keeps_shape_and_type_and_whole_numbers_in_their_range(change: object, dtype: torch.dtype) -> None:
    x = values(dtype)
    y = change(x)  # type: ignore[operator]
    assert y.shape == x.shape and y.dtype == x.dtype
    if dtype in (torch.int64, torch.bool):
        assert set(y.flatten().tolist()) <= set(x.flatten().tolist())


def test_numbers_change_as_they_should() -> None:
    real, whole, truth = (values(dtype) for dtype in (torch.float64, torch.int64, torch.bool))
    assert torch.equal(negate(negate(real)), 9 * real) and bool((negate(real) * real < 0).all())
    assert torch.equal(negate(whole).flatten(), whole.flatten().flip(0)) and torch.equal(negate(truth), ~truth)
    assert not empty(real).any() and bool((empty(whole) == 1).all()) and not empty(truth).any()
    assert bool((enlarge(whole) == 12).all()) and enlarge(truth).all() and bool((enlarge(real) > 10 * real).all())
    assert empty(torch.ones(2, dtype=torch.bool)).all() and not enlarge(torch.zeros(2, dtype=torch.bool)).any()


@pytest.mark.parametrize("rows", [2, 4, 6])
def test_half_of_the_rows_change_at_a_time_and_each_stays_beside_changed_ones(rows: int) -> None:
    chosen = torch.stack([mask for _, mask in neighbours(rows)])
    assert bool((chosen.sum(dim=1) == rows // 2).all())
    assert bool(chosen.any(dim=0).all()) and bool((~chosen).any(dim=0).all())
    assert {change for change, _ in neighbours(rows)} == set(CHANGES)


def test_only_the_chosen_rows_change() -> None:
    tensors = [values(torch.float64), values(torch.int64, (4,)), values(torch.float32, (4, 2, 2)), torch.zeros(4, 0)]
    rows = torch.tensor([False, True, False, True])
    for x, y in zip(tensors, perturb(tensors, empty, rows), strict=True):
        assert torch.equal(y[~rows], x[~rows]) and torch.equal(y[rows], empty(x)[rows] if x.numel() else x[rows])
