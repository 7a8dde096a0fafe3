"""Tests of advantages against their definitions and Stable-Baselines3."""

import gymnasium
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from workbench.training.advantages import explained_variance, generalized_advantages, normalize

seeds = st.integers(0, 2**16)


def random_segment(seed: int, steps: int, envs: int) -> tuple[torch.Tensor, ...]:
    rng = torch.Generator().manual_seed(seed)
    reward, value, next_value = torch.randn(3, steps, envs, generator=rng, dtype=torch.float64)
    terminated, truncated = torch.rand(2, steps, envs, generator=rng) < 0.15
    return reward, value, next_value, terminated, terminated | truncated


@given(seed=seeds, steps=st.integers(1, 12), discount=st.floats(0, 1), decay=st.floats(0, 1))
def test_the_advantage_is_the_sum_of_the_paper(seed: int, steps: int, discount: float, decay: float) -> None:
    reward, value, next_value, terminated, done = random_segment(seed, steps, 2)
    result = generalized_advantages(reward, value, next_value, terminated, done, discount, decay)
    for env in range(2):
        for start in range(steps):
            expected, weight = 0.0, 1.0
            for t in range(start, steps):
                future = 0.0 if terminated[t, env] else discount * next_value[t, env].item()
                expected += weight * (reward[t, env].item() + future - value[t, env].item())
                weight *= discount * decay
                if done[t, env]:
                    break
            assert result[start, env].item() == pytest.approx(expected, abs=1e-9)


@given(seed=seeds, steps=st.integers(1, 12), discount=st.floats(0, 1))
def test_without_decay_advantage_plus_value_is_the_discounted_return(seed: int, steps: int, discount: float) -> None:
    reward, value, _, _, _ = random_segment(seed, steps, 3)
    terminated = torch.zeros(steps, 3, dtype=torch.bool)
    terminated[-1] = True
    following = torch.cat([value[1:], torch.zeros(1, 3)])
    advantage = generalized_advantages(reward, value, following, terminated, terminated, discount, decay=1.0)
    powers = discount ** torch.arange(steps, dtype=torch.float64)
    returns = torch.stack([(powers[: steps - t, None] * reward[t:]).sum(0) for t in range(steps)])
    torch.testing.assert_close(advantage + value, returns)


def test_truncation_counts_the_value_of_the_last_state_and_termination_does_not() -> None:
    reward, value, next_value = torch.tensor([[1.0]]), torch.tensor([[0.5]]), torch.tensor([[10.0]])
    yes, no = torch.tensor([[True]]), torch.tensor([[False]])
    truncated = generalized_advantages(reward, value, next_value, no, yes, 0.9, 0.95)
    terminated = generalized_advantages(reward, value, next_value, yes, yes, 0.9, 0.95)
    assert truncated.item() == pytest.approx(1 + 9 - 0.5)
    assert terminated.item() == pytest.approx(1 - 0.5)


@pytest.mark.parametrize("seed", range(3))
def test_advantages_equal_those_of_stable_baselines3(seed: int) -> None:
    buffers = pytest.importorskip("stable_baselines3.common.buffers")
    steps, envs, discount, decay = 16, 4, 0.98, 0.9
    reward, value, next_value, terminated, _ = (x.float() for x in random_segment(seed, steps, envs))
    done = terminated.bool()
    space = gymnasium.spaces.Box(-1, 1, (3,))
    theirs = buffers.RolloutBuffer(
        steps, space, gymnasium.spaces.Discrete(2), gamma=discount, gae_lambda=decay, n_envs=envs
    )
    starts = np.vstack([np.zeros((1, envs)), done[:-1].numpy()])
    for t in range(steps):
        theirs.add(np.zeros((envs, 3)), np.zeros((envs, 1)), reward[t].numpy(), starts[t], value[t], torch.zeros(envs))
    theirs.compute_returns_and_advantage(next_value[-1], done[-1].numpy())
    following = torch.cat([value[1:], next_value[-1:]])
    ours = generalized_advantages(reward, value, following, done, done, discount, decay)
    np.testing.assert_allclose(ours.numpy(), theirs.advantages, rtol=1e-5, atol=1e-5)


@given(seed=seeds, scale=st.floats(0.1, 100), shift=st.floats(-100, 100))
def test_normalising_removes_the_reward_scale(seed: int, scale: float, shift: float) -> None:
    advantage = torch.randn(4, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    torch.testing.assert_close(normalize(scale * advantage + shift), normalize(advantage), rtol=1e-5, atol=1e-5)


def test_explained_variance_of_perfect_constant_and_opposite_values() -> None:
    target = torch.tensor([1.0, 2.0, 4.0])
    assert explained_variance(target, target).item() == pytest.approx(1)
    assert explained_variance(torch.full((3,), 9.0), target).item() == pytest.approx(0)
    assert explained_variance(-target, target).item() == pytest.approx(-3)
    assert explained_variance(target, torch.ones(3)).isnan()


def test_a_single_advantage_is_its_own_mean() -> None:
    assert normalize(torch.tensor([3.0])).tolist() == [0.0]
    assert normalize(torch.tensor([3.0, 5.0])).tolist() == pytest.approx([-(0.5**0.5), 0.5**0.5])
