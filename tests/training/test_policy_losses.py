"""Policy losses against closed forms, enumeration and torch.distributions."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Categorical

from workbench.training.policy_losses import (
    approximate_kl,
    clipped_fraction,
    clipped_surrogate,
    entropy,
    log_probability,
    value_loss,
)

seeds = st.integers(0, 2**16)


@given(seed=seeds, n_actions=st.integers(1, 6))
def test_log_probability_and_entropy_agree_with_torch_distributions(seed: int, n_actions: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    logits = 5 * torch.randn(7, n_actions, generator=rng, dtype=torch.float64)
    action = torch.randint(n_actions, (7,), generator=rng)
    theirs = Categorical(logits=logits)
    torch.testing.assert_close(log_probability(logits, action), theirs.log_prob(action))
    torch.testing.assert_close(entropy(logits), theirs.entropy())


def test_a_uniform_policy_has_the_logarithm_of_its_actions_as_entropy() -> None:
    assert entropy(torch.zeros(1, 8)).item() == pytest.approx(math.log(8))


@given(seed=seeds)
def test_at_the_old_policy_the_gradient_is_the_policy_gradient(seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    old_logp, advantage = torch.randn(2, 9, generator=rng, dtype=torch.float64)
    logp = old_logp.clone().requires_grad_()
    clipped_surrogate(logp, old_logp, advantage, clip=0.2).backward()
    torch.testing.assert_close(logp.grad, -advantage / 9)


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "moves"),
    [(1.5, 1.0, -1.2, False), (1.5, -1.0, 1.5, True), (0.5, 1.0, -0.5, True), (0.5, -1.0, 0.8, False)],
)
def test_only_improvements_beyond_the_clip_are_cut(ratio: float, advantage: float, loss: float, moves: bool) -> None:
    logp = torch.tensor([math.log(ratio)], requires_grad=True)
    result = clipped_surrogate(logp, torch.zeros(1), torch.tensor([advantage]), clip=0.2)
    result.backward()
    assert result.item() == pytest.approx(loss)
    assert bool(logp.grad) is moves


@given(seed=seeds)
def test_the_estimate_of_kl_is_unbiased(seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    new, old = torch.randn(2, 4, generator=rng, dtype=torch.float64).log_softmax(-1)
    # Its expectation under the old policy, by enumeration of the four actions.
    estimates = torch.stack([approximate_kl(new[a : a + 1], old[a : a + 1]) for a in range(4)])
    torch.testing.assert_close((old.exp() * estimates).sum(), (old.exp() * (old - new)).sum())
    assert (estimates >= 0).all()


def test_the_clipped_fraction_counts_both_sides() -> None:
    logp = torch.tensor([0.5, 0.9, 1.0, 1.1, 1.3, 2.0]).log()
    assert clipped_fraction(logp, torch.zeros(6), clip=0.2).item() == pytest.approx(0.5)


def test_the_value_loss_is_the_mean_square() -> None:
    assert value_loss(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 2.0])).item() == pytest.approx(2)
