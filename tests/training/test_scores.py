"""Intervals of scores against closed forms, and how often they hold the true value."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from workbench.core.errors import ConfigError
from workbench.training.scores import (
    biased_score,
    bootstrapped_mean,
    bootstrapped_score,
    mean_score,
    normal_interval,
    share_score,
    wilson_interval,
)


@given(n=st.integers(1, 2000), share=st.floats(0, 1))
def test_the_ends_of_a_wilson_interval_lie_1_96_of_their_own_standard_errors_away(n: int, share: float) -> None:
    successes = round(share * n)
    for end in wilson_interval(successes, n):
        assert abs(successes / n - end) == pytest.approx(1.959964 * math.sqrt(end * (1 - end) / n), abs=1e-6)


def test_a_share_counts_what_is_right_in_a_list_or_a_tensor() -> None:
    right = [True, False, True, True]
    assert share_score(right) == share_score(torch.tensor(right))
    assert share_score(right) == {"value": 0.75, "n": 4, "interval": wilson_interval(3, 4)}


def test_an_interval_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least one example"):
        wilson_interval(0, 0)


def test_the_interval_of_a_mean_covers_it_nineteen_times_in_twenty() -> None:
    draws = torch.randn(4000, 30, generator=torch.Generator().manual_seed(0)) + 2
    intervals = [mean_score(row)["interval"] for row in draws]
    covered = sum(low <= 2 <= high for low, high in intervals) / len(intervals)
    assert covered == pytest.approx(0.94, abs=0.015)  # 30 draws and a normal interval: a little under 0.95
    assert normal_interval(torch.ones(1)) is None


def test_the_bootstrap_interval_of_a_normal_sample_is_the_textbook_one() -> None:
    sample = torch.from_numpy(np.random.default_rng(0).normal(3, 2, 400))
    low, high = bootstrapped_mean(sample, seed=0)["interval"]
    margin = 1.96 * sample.std().item() / 20
    assert low == pytest.approx(sample.mean().item() - margin, abs=0.02)
    assert high == pytest.approx(sample.mean().item() + margin, abs=0.02)


def test_the_bootstrap_interval_of_equal_values_is_a_point_and_a_single_value_has_none() -> None:
    assert bootstrapped_mean(torch.full((100,), 500.0), seed=0)["interval"] == (500.0, 500.0)
    assert bootstrapped_mean(torch.ones(1), seed=0)["interval"] is None


@pytest.mark.slow
def test_the_interval_of_a_ratio_holds_the_true_ratio_in_about_95_of_100_cases() -> None:
    rng, held = np.random.default_rng(0), 0
    for seed in range(200):
        sums, counts = rng.exponential(3.0, 80), rng.exponential(2.0, 80)
        score = bootstrapped_score(lambda rows, s=sums, c=counts: s[rows].sum() / c[rows].sum(), 80, seed, 200)
        held += score["interval"][0] <= 1.5 <= score["interval"][1]
    assert 0.87 <= held / 200 <= 0.99


def test_the_spread_of_a_mean_is_its_standard_error() -> None:
    values = np.random.default_rng(1).standard_normal(400)
    score = biased_score(lambda rows: values[rows].mean(), 400, 0, draws=1000)
    low, high = score["interval"]
    assert score["value"] == values.mean() and score["n"] == 400
    np.testing.assert_allclose(high - low, 2 * 1.96 * values.std() / 20, rtol=0.1)


def test_the_same_seed_gives_the_same_interval_which_holds_the_value() -> None:
    values = np.arange(30.0) ** 3
    one, two = (bootstrapped_score(lambda rows: values[rows].max(), 30, 7) for _ in range(2))
    assert one == two and one["interval"][0] <= one["value"] <= one["interval"][1]
