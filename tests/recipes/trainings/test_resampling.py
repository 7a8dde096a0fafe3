"""Bootstrap intervals hold the true value as often as they say."""

import numpy as np

from workbench.recipes.trainings.resampling import resampled, resampled_spread


def test_the_interval_of_a_ratio_holds_the_true_ratio_in_about_95_of_100_cases() -> None:
    rng, held = np.random.default_rng(0), 0
    for seed in range(200):
        sums, counts = rng.exponential(3.0, 80), rng.exponential(2.0, 80)
        low, high = resampled(lambda rows, s=sums, c=counts: s[rows].sum() / c[rows].sum(), 80, seed, 200)["interval"]
        held += low <= 1.5 <= high
    assert 0.87 <= held / 200 <= 0.99


def test_the_spread_of_a_mean_is_its_standard_error() -> None:
    values = np.random.default_rng(1).standard_normal(400)
    score = resampled_spread(lambda rows: values[rows].mean(), 400, 0, draws=1000)
    low, high = score["interval"]
    assert score["value"] == values.mean() and score["n"] == 400
    np.testing.assert_allclose(high - low, 2 * 1.96 * values.std() / 20, rtol=0.1)


def test_the_same_seed_gives_the_same_interval_which_holds_the_value() -> None:
    values = np.arange(30.0) ** 3
    one, two = (resampled(lambda rows: values[rows].max(), 30, 7) for _ in range(2))
    assert one == two and one["interval"][0] <= one["value"] <= one["interval"][1]
