"""Tests of the bootstrap interval against closed forms."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from torch import Tensor

from workbench.core.intervals import AT_ONCE, bootstrap_interval, mean_interval, resample


def test_of_many_values_it_is_the_normal_interval_of_their_mean() -> None:
    """2.5 to 97.5 %: an interval from 5 to 95 % would be a sixth narrower."""
    x = torch.randn(2000, generator=torch.Generator().manual_seed(0)).double()
    error = float(x.std(correction=0)) / 2000**0.5
    for level in (0.95, 0.8):
        low, high = mean_interval(x, level=level).tolist()
        reach = float(norm.ppf((1 + level) / 2)) * error
        assert low == pytest.approx(float(x.mean()) - reach, abs=0.08 * reach)
        assert high == pytest.approx(float(x.mean()) + reach, abs=0.08 * reach)


def test_it_holds_the_true_mean_in_about_95_of_100_samples() -> None:
    samples = torch.rand(400, 40, generator=torch.Generator().manual_seed(1)).double()
    low, high = mean_interval(samples)
    share = float(((low <= 0.5) & (high >= 0.5)).double().mean())
    assert 0.91 < share < 0.97


@given(shift=st.floats(-9, 9), scale=st.floats(0.1, 9), seed=st.integers(0, 99))
def test_it_moves_and_stretches_with_the_values(shift: float, scale: float, seed: int) -> None:
    x = torch.randn(3, 10, generator=torch.Generator().manual_seed(seed)).double()
    torch.testing.assert_close(mean_interval(scale * x + shift), scale * mean_interval(x) + shift)


def test_rows_are_drawn_together_and_one_value_has_no_interval() -> None:
    x = torch.randn(1, 9).double()
    twice = mean_interval(torch.cat([x, x]))
    assert torch.equal(twice[:, 0], twice[:, 1])
    torch.testing.assert_close(twice[:, 0], mean_interval(x[0]))
    assert mean_interval(torch.ones(2, 3, 1)).shape == (2, 2, 3) and mean_interval(torch.ones(1)).isnan().all()
    assert mean_interval(torch.full((4,), 2.5)).tolist() == [2.5, 2.5]


def test_two_values_leave_their_whole_range_open() -> None:
    assert mean_interval(torch.tensor([-1.0, 3.0])).tolist() == [-1.0, 3.0]


def test_groups_are_drawn_by_themselves() -> None:
    """Of a mean over two independent groups the variances add."""
    random = torch.Generator().manual_seed(2)
    x, y = torch.randn(300, generator=random).double(), torch.randn(300, generator=random).double()
    low, high = bootstrap_interval(lambda i, j: x[i].mean(dim=1) + y[j].mean(dim=1), 300, 300).tolist()
    assert (high - low) / 2 == pytest.approx(1.96 * float((x.var() + y.var()) / 300) ** 0.5, rel=0.1)
    assert bootstrap_interval(lambda i, j: x[i].mean(dim=1) + y[j].mean(dim=1), 300, 1).isnan().all()


@pytest.mark.parametrize(("width", "sizes"), [(1, (5,)), (50, (40, 300)), (2 * AT_ONCE, (7,))])
def test_draws_taken_at_once_fit_in_memory(monkeypatch: pytest.MonkeyPatch, width: int, sizes: tuple[int, ...]) -> None:
    held: list[int] = []

    def widths(*rows: Tensor) -> Tensor:
        held.append(len(rows[0]))
        return torch.zeros(len(rows[0]))

    resample(widths, *sizes, seed=0, draws=2000, width=width)
    assert all(n == 1 or n * width * max(sizes) <= AT_ONCE for n in held)
    assert sum(held) >= 2000 and max(held) == min(2000, max(1, AT_ONCE // (width * max(sizes))))
