"""Tests of deep Q-learning: replay, targets, loss, learning, resumption and exploration."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from tests.training.corridor import DISCOUNT, LENGTH, corridor_value, numbered_corridors
from tests.training.test_ppo import cartpoles, weights
from workbench.core.errors import Cancelled, ConfigError
from workbench.core.random import generator, seed_everything
from workbench.training.dqn import DQNConfig, double_target, dqn, temporal_difference_loss, update_target
from workbench.training.exploration import Repetition, epsilon_greedy, extended_epsilon_greedy
from workbench.training.replay import Replay, Transitions
from workbench.zoo.q_network import QNetwork, QNetworkConfig


def network(features: int = 4, duelling: bool = False, units: int = 8, seed: int = 0) -> QNetwork:
    seed_everything(seed)
    return QNetwork(QNetworkConfig((features,), 2, hidden=(units,), duelling=duelling))


def transitions(numbers: list[int]) -> Transitions:
    x = torch.tensor(numbers, dtype=torch.float32)
    steps = torch.tensor(numbers) % 3 + 1
    return Transitions(x[:, None], torch.zeros(len(x), dtype=torch.int64), x, x[:, None] + 1, x > 2, steps)


def test_a_replay_keeps_the_latest_transitions_whole() -> None:
    replay = Replay(3, (1,))
    replay.add(transitions([0, 1]))
    replay.add(transitions([2, 3]))
    assert len(replay) == 3
    assert sorted(replay.kept.reward.tolist()) == [1.0, 2.0, 3.0]
    assert torch.equal(replay.kept.following[:, 0], replay.kept.reward + 1)
    assert torch.equal(replay.kept.terminated, replay.kept.reward > 2)
    replay.add(transitions([4, 5, 6, 7, 8]))
    assert sorted(replay.kept.reward.tolist()) == [6.0, 7.0, 8.0]


def test_samples_are_drawn_from_all_that_is_there_and_nothing_else() -> None:
    replay = Replay(100, (1,))
    replay.add(transitions([5, 6, 7]))
    assert set(replay.sample(200, generator(0)).reward.tolist()) == {5.0, 6.0, 7.0}
    with pytest.raises(ConfigError, match="capacity 0"):
        Replay(0, (1,))


def test_the_double_target_is_the_slow_price_of_the_networks_own_choice() -> None:
    q, slow = torch.tensor([[1.0, 2.0], [3.0, 0.0]]), torch.tensor([[10.0, 20.0], [30.0, 40.0]])
    target = double_target(torch.tensor([1.0, 1.0]), q, slow, torch.tensor([False, True]), 0.5)
    assert target.tolist() == [11.0, 1.0]


@pytest.mark.parametrize("double", [True, False])
def test_the_loss_is_huber_of_the_bellman_error_and_moves_only_the_chosen_action(double: bool) -> None:
    model, slow, part = network(1), network(1, seed=1), transitions([0, 1, 3])
    loss = temporal_difference_loss(model, slow, part, DQNConfig(double=double, discount=0.9))
    with torch.no_grad():
        after = slow(part.following).q
        best = model(part.following).q.argmax(dim=1) if double else after.argmax(dim=1)
        target = part.reward + 0.9**part.steps * after[torch.arange(3), best] * ~part.terminated
        error = (model(part.observation).q[:, 0] - target).abs()
    assert_close(loss.detach(), torch.where(error < 1, 0.5 * error**2, error - 0.5).mean())
    loss.backward()
    assert not model.readout.advantage.weight.grad[1].any() and model.readout.advantage.weight.grad[0].any()


def test_the_slow_copy_goes_its_share_of_the_way() -> None:
    model, slow = network(), network(seed=1)
    before = copy.deepcopy(slow)
    update_target(slow, model, 0.25)
    for new, old, aim in zip(slow.parameters(), before.parameters(), model.parameters(), strict=True):
        assert_close(new, 0.75 * old + 0.25 * aim)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("double", "n_steps"),
    [
        (True, 1),
        pytest.param(False, 1, marks=pytest.mark.full),
        pytest.param(True, 5, marks=pytest.mark.full),
        (False, 2),
    ],
)
def test_it_learns_the_known_values_though_episodes_are_cut_short(double: bool, n_steps: int) -> None:
    """Truncation is no end: a target that stopped there, or read the next episode's start, would be wrong."""
    model = network(LENGTH + 1, units=32)
    cfg = DQNConfig(
        8000, lr=3e-3, discount=DISCOUNT, double=double, n_steps=n_steps, warmup=100, target_share=0.05, minibatch=64
    )
    dqn(model, numbered_corridors(8), cfg)
    with torch.no_grad():
        found = model(torch.eye(LENGTH + 1)[:LENGTH]).q
    known = torch.as_tensor(corridor_value(torch.arange(LENGTH).numpy()), dtype=torch.float32)
    assert_close(found, known[:, None].expand(-1, 2), atol=0.08, rtol=0)


@pytest.mark.parametrize("n_steps", [1, 3])
def test_a_stopped_run_continues_bit_for_bit(n_steps: int, tmp_path: Path) -> None:
    cfg, calls = DQNConfig(1600, n_steps=n_steps, warmup=100, log_every=20, optimizer_steps=1), []
    whole, stopped, resumed = (network() for _ in range(3))
    dqn(whole, cartpoles(4), cfg, seed=3)

    def stop(done: int, total: int) -> None:
        calls.append(done)
        if len(calls) == 7:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        dqn(stopped, cartpoles(4), cfg, seed=3, progress=stop, checkpoint=tmp_path / "state")
    dqn(resumed, cartpoles(4), cfg, seed=3, checkpoint=tmp_path / "state")
    assert torch.equal(weights(resumed), weights(whole))


def test_settings_that_leave_nothing_to_do_are_refused() -> None:
    with pytest.raises(ConfigError, match="'minibatch' of DQNConfig should be a whole number of 1 or more, not 0"):
        DQNConfig(minibatch=0)
    with pytest.raises(ConfigError, match="in which nothing would be learned"):
        DQNConfig(steps=1000, warmup=1000)


def test_a_random_action_lasts_and_a_single_step_of_it_is_epsilon_greedy() -> None:
    q, held, rng = torch.tensor([[1.0, 0.0, 0.0]]).expand(4000, 3), Repetition.none(4000), generator(0)
    taken = []
    for _ in range(12):
        action, held = extended_epsilon_greedy(q, 0.2, held, 6, rng)
        taken.append(action)
    history = torch.stack(taken)
    random = history != 0
    again = (history[1:] == history[:-1])[random[:-1]].double().mean()
    assert again > 0.6  # a chain of 1 to 6 steps goes on after 5 of 7 of them, and some begin anew
    single, _ = extended_epsilon_greedy(q, 0.2, Repetition.none(4000), 1, generator(1))
    assert torch.equal(single, epsilon_greedy(q, 0.2, generator(1)))
