"""Tests of value iteration on environments solved by hand, and of the optima of the committed tables."""

import pytest
import torch

from workbench.data.environments.tabular import read_mdp
from workbench.training.value_iteration import policy_return, value_iteration


def corridor(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Places in a row; action 1 goes right at a cost of 1, action 0 stays at a cost of 1; leaving at the end."""
    going_on = torch.zeros(n, 2, n, dtype=torch.float64)
    for place in range(n):
        going_on[place, 0, place] = 1
        if place + 1 < n:
            going_on[place, 1, place + 1] = 1
    return going_on, -torch.ones(n, 2, dtype=torch.float64)


def test_the_way_out_costs_one_for_each_step() -> None:
    going_on, cost = corridor(5)
    q = value_iteration(going_on, cost, horizon=100)
    assert q[:, 1].tolist() == [-5, -4, -3, -2, -1]
    assert q[:, 0].tolist() == [-6, -5, -4, -3, -2]


def test_the_horizon_is_the_number_of_steps_that_count() -> None:
    going_on, cost = corridor(5)
    assert value_iteration(going_on, cost, horizon=3)[:, 1].tolist() == [-3, -3, -3, -2, -1]


def test_discounting_is_a_geometric_series() -> None:
    going_on, cost = corridor(5)
    q = value_iteration(going_on, cost, horizon=100, discount=0.5)
    assert q[0, 1].item() == pytest.approx(-(1 - 0.5**5) / 0.5)


@pytest.mark.parametrize(
    ("name", "horizon", "optimum"),
    [("FrozenLake-v1", 100, 0.744), ("Taxi-v4", 200, 7.93), ("CliffWalking-v1", 1000, -13.0)]
)  # fmt: skip
def test_the_exact_optima_of_the_tables(name: str, horizon: int, optimum: float) -> None:
    world = read_mdp(name)
    q = value_iteration(world.transition, world.reward, horizon)
    best = float(world.start @ q.max(1).values)
    assert best == pytest.approx(optimum, abs=5e-4)
    greedy = policy_return(q.argmax(1), world.transition, world.reward, world.start, horizon)
    assert greedy <= best + 1e-9
    assert greedy > best - 0.02


def test_a_policys_return_is_that_of_many_simulated_episodes() -> None:
    world, rng = read_mdp("FrozenLake-v1"), torch.Generator().manual_seed(0)
    policy = torch.randint(4, (16,), generator=rng)
    state, alive, total = torch.zeros(20_000, dtype=torch.int64), torch.ones(20_000), torch.zeros(20_000)
    for _ in range(100):
        action = policy[state]
        total += alive * world.reward[state, action].float()  # expected reward: the same mean
        chances = world.transition[state, action].float()
        ending = 1 - chances.sum(1, keepdim=True)
        drawn = torch.multinomial(torch.cat([chances, ending.clamp(min=0)], dim=1), 1, generator=rng)[:, 0]
        alive *= drawn < 16
        state = drawn.clamp(max=15)
    exact = policy_return(policy, world.transition, world.reward, world.start, 100)
    assert exact == pytest.approx(float(total.mean()), abs=0.01)
