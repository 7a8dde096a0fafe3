"""Tests of Q-learning by hand and against known values."""

import numpy as np
import pytest
import torch

from tests.training.corridor import DISCOUNT, LENGTH, corridor_value, numbered_corridors
from workbench.core.errors import ConfigError
from workbench.data.environments import make_vector
from workbench.data.environments.tabular import read_mdp
from workbench.training.exploration import epsilon_at, epsilon_greedy
from workbench.training.q_learning import QLearningConfig, bellman_target, q_learning, update
from workbench.training.value_iteration import value_iteration


def test_a_target_is_reward_and_the_best_of_what_follows_unless_the_episode_ended() -> None:
    target = bellman_target(
        torch.tensor([1.0, 2.0]), torch.tensor([[3.0, 5.0], [7.0, 6.0]]), torch.tensor([False, True]), 0.5
    )
    assert target.tolist() == [1 + 0.5 * 5, 2]


def test_an_update_moves_each_entry_by_the_mean_surprise_of_the_rows_that_met_there() -> None:
    table = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    update(table, torch.tensor([0, 0, 1]), torch.tensor([0, 0, 1]), torch.tensor([2.0, 4.0, 10.0]), lr=0.5)
    assert table.tolist() == [[1 + 0.5 * 2, 0], [0, 5]]


def test_epsilon_is_the_share_of_random_actions() -> None:
    q, rng = torch.tensor([[0.0, 1.0, 0.0, 0.0]]).expand(50_000, 4), torch.Generator().manual_seed(0)
    share = epsilon_greedy(q, 0.4, rng).bincount(minlength=4) / 50_000
    torch.testing.assert_close(share, torch.tensor([0.1, 0.7, 0.1, 0.1]), rtol=0, atol=0.01)
    assert (epsilon_greedy(q, 0.0, rng) == 1).all()


def test_exploration_falls_on_a_straight_line_and_stays() -> None:
    assert [epsilon_at(x, 1.0, 0.2, 0.5) for x in (0.0, 0.25, 0.5, 1.0)] == pytest.approx([1, 0.6, 0.2, 0.2])
    for start, end, share in ((0.1, 0.5, 0.5), (1.0, -0.1, 0.5), (1.0, 0.0, 0.0)):
        with pytest.raises(ConfigError, match="exploration falls|from 0 to 1|above 0 and at most 1"):
            QLearningConfig(epsilon_start=start, epsilon_end=end, epsilon_share=share)


def test_known_values_are_learned_across_truncation_and_resets() -> None:
    """Every place of the corridor has another value: a wrong end or a wrong next state would show."""
    table = torch.zeros(LENGTH + 1, 2)
    cfg = QLearningConfig(steps=20_000, lr=0.5, discount=DISCOUNT, epsilon_end=1.0)
    q_learning(table, numbered_corridors(8), cfg)
    expected = corridor_value(np.arange(LENGTH))
    np.testing.assert_allclose(table[:LENGTH, 0], expected, atol=0.01)
    np.testing.assert_allclose(table[:LENGTH, 1], expected, atol=0.01)


def test_the_table_becomes_that_of_value_iteration() -> None:
    world, table = read_mdp("CliffWalking-v1"), torch.zeros(48, 4)
    cfg = QLearningConfig(200_000, lr=0.5, discount=1.0, epsilon_end=0.3)
    curve = q_learning(table, make_vector("workbench/CliffWalking-v1", 64), cfg)
    exact = value_iteration(world.transition, world.reward, 1000)
    visited = [36, *range(24, 36), 12, 13]  # the start, the way along the cliff, and two more
    torch.testing.assert_close(table[visited], exact[visited].float(), rtol=0, atol=0.05)
    assert curve.last("epsilon") == pytest.approx(0.3, abs=0.01) and len(curve.step) >= 100


def test_one_seed_gives_one_table() -> None:
    tables = [torch.zeros(16, 4) for _ in range(3)]
    for table, seed in zip(tables, (0, 0, 1), strict=True):
        cfg = QLearningConfig(5_000, lr=0.5)
        q_learning(table, make_vector("workbench/FrozenLake-v1", 8), cfg, seed)
    assert torch.equal(tables[0], tables[1]) and not torch.equal(tables[0], tables[2])


def test_settings_that_learn_nothing_are_refused() -> None:
    with pytest.raises(ConfigError, match="lr"):
        QLearningConfig(lr=0.0)
