"""Tests of preference losses in closed form."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from workbench.training.rlhf.preference_losses import (
    best_of_n,
    bradley_terry_loss,
    clipped_value_loss,
    dpo_loss,
    last_true,
    masked_mean,
    penalized_rewards,
)

number = st.floats(-5, 5)


def tensor(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


@given(one=number, other=number)
def test_bradley_terry_is_the_log_of_one_plus_the_odds_against(one: float, other: float) -> None:
    found = bradley_terry_loss(tensor(one), tensor(other))
    assert found.item() == pytest.approx(math.log(1 + math.exp(other - one)))


def test_fitted_scores_are_the_log_odds_of_the_wins() -> None:
    """Of two texts where one wins three times in four, the likeliest scores differ by log 3."""
    score = tensor(0.0, 0.0).requires_grad_()
    optimizer = torch.optim.LBFGS([score], line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        preferred, other = score[[0, 0, 0, 1]], score[[1, 1, 1, 0]]
        value = bradley_terry_loss(preferred, other)
        value.backward()
        return value

    optimizer.step(loss)
    assert (score[0] - score[1]).item() == pytest.approx(math.log(3), abs=1e-4)


def test_dpo_of_a_case_by_hand() -> None:
    """Log-ratios 1 and -2 with beta 0.1: the loss is -log sigmoid(0.3)."""
    loss = dpo_loss(tensor(-9.0), tensor(-14.0), tensor(-10.0), tensor(-12.0), beta=0.1)
    assert loss.item() == pytest.approx(math.log(1 + math.exp(-0.3)))


def test_dpo_of_the_reference_itself_is_log_two_and_pushes_the_pair_apart() -> None:
    logp = tensor(-5.0, -7.0).requires_grad_()
    loss = dpo_loss(logp[:1], logp[1:], tensor(-5.0), tensor(-7.0), beta=0.1)
    loss.backward()
    assert loss.item() == pytest.approx(math.log(2))
    assert logp.grad.tolist() == pytest.approx([-0.05, 0.05])  # type: ignore[union-attr]


def test_rewards_sum_to_the_score_less_the_penalty() -> None:
    logp, ref_logp = tensor(-1, -2, -3, -4).reshape(1, 4), tensor(-2, -2, -5, -9).reshape(1, 4)
    mask = torch.tensor([[False, True, True, False]])
    reward = penalized_rewards(tensor(3.0), logp, ref_logp, mask, kl_coef=0.5)
    assert reward.tolist() == [[0, 0, -1 + 3, 0]]


@given(st.lists(st.booleans(), min_size=1, max_size=9))
def test_the_last_marked_place_is_found(marks: list[bool]) -> None:
    expected = max((i for i, marked in enumerate(marks) if marked), default=0)
    assert last_true(torch.tensor([marks])).tolist() == [expected]


def test_a_masked_mean_leaves_the_rest_out() -> None:
    assert masked_mean(tensor(1, 2, 30).reshape(1, 3), torch.tensor([[True, True, False]])).item() == 1.5


def test_a_critic_gains_nothing_beyond_the_clip() -> None:
    value = tensor(0.1, 0.5).requires_grad_()
    loss = clipped_value_loss(value, tensor(0.0, 0.0), tensor(1.0, 1.0), clip=0.2)
    loss.backward()
    assert loss.item() == pytest.approx((0.9**2 + 0.8**2) / 4)
    assert value.grad.tolist() == pytest.approx([-0.45, 0])  # type: ignore[union-attr]


def test_the_best_draw_of_each_row_is_chosen() -> None:
    assert best_of_n(torch.tensor([[1.0, 5.0], [2.0, 4.0], [0.0, 9.0]])).tolist() == [1, 2]
