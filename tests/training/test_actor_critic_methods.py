"""A2C and REINFORCE against Stable-Baselines3, against closed forms, and on environments whose values are known."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from tests.training.corridor import DISCOUNT, LENGTH, corridor_value, corridors, numbered_corridors
from tests.training.test_ppo import policy, their_segment, weights, with_their_weights
from workbench.core.errors import Cancelled, ConfigError
from workbench.data.environments import make_vector
from workbench.training import a2c as a2c_file
from workbench.training.a2c import A2CConfig, a2c
from workbench.training.optimizers import build_optimizer
from workbench.training.policy_evaluation import evaluate_policy
from workbench.training.policy_losses import log_probability, policy_gradient_loss
from workbench.training.ppo import PPOConfig, ppo
from workbench.training.reinforce import REINFORCEConfig, improve, reinforce, returns_to_go
from workbench.training.rollouts import collect_episodes, mark_first_episode
from workbench.training.samples import Batch, prepare_batch
from workbench.training.trpo import TRPOConfig, trpo

cartpoles = partial(make_vector, "workbench/CartPole-v1")


def test_the_policy_gradient_of_one_state_is_that_of_the_expected_advantage() -> None:
    """Over all actions with their own frequencies, the gradient is that of sum p(a) A(a), by hand p (A - mean A)."""
    logits = torch.tensor([0.3, -0.2, 1.0], dtype=torch.float64, requires_grad=True)
    advantage, action = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64), torch.arange(3)
    p = logits.softmax(0).detach()
    logp = log_probability(logits.expand(3, 3), action)
    policy_gradient_loss(logp, 3 * p * advantage).backward()
    torch.testing.assert_close(logits.grad, -p * (advantage - p @ advantage))


def test_an_update_of_a2c_moves_the_weights_where_stable_baselines3_moves_them() -> None:
    sb3, cfg = pytest.importorskip("stable_baselines3"), A2CConfig(segment=16, lr=1e-3, decay=0.9, entropy_bonus=0.01)
    theirs = sb3.A2C(
        "MlpPolicy", sb3.common.env_util.make_vec_env("CartPole-v1", 4, seed=0), learning_rate=cfg.lr,
        n_steps=cfg.segment, gamma=cfg.discount, gae_lambda=cfg.decay, ent_coef=cfg.entropy_bonus,
        vf_coef=cfg.value_weight, max_grad_norm=cfg.gradient_clip, use_rms_prop=False, seed=0, device="cpu",
    )  # fmt: skip
    _, callback = theirs._setup_learn(10**6)
    theirs.collect_rollouts(theirs.env, callback, theirs.rollout_buffer, cfg.segment)
    ours = with_their_weights(theirs.policy)
    before, segment = weights(ours), their_segment(theirs, ours)
    a2c_file.improve(ours, cfg, segment, build_optimizer(ours, "adam", cfg.lr, eps=1e-5), torch.Generator())
    theirs.train()
    moved = (weights(ours) - before).abs().max()
    torch.testing.assert_close(weights(ours), weights(with_their_weights(theirs.policy)), rtol=0, atol=1e-3 * moved)


def test_n_step_returns_are_rewards_and_the_value_where_the_segment_ends() -> None:
    model, envs = policy(features=1), corridors(3, time_limit=50)
    envs.reset(seed=0)
    segment = collect_episodes(model, envs, torch.Generator().manual_seed(0), steps=4)
    target = prepare_batch(segment, 0.5, decay=1.0).target.reshape(segment.reward.shape)
    for env in range(3):
        running = segment.next_value[-1, env]
        for t in reversed(range(len(target))):
            alive = ~segment.terminated[t, env]
            follows = running if not segment.done[t, env] else segment.next_value[t, env]
            running = segment.reward[t, env] + 0.5 * alive * follows
            assert target[t, env].item() == pytest.approx(running.item(), abs=1e-5)


@pytest.mark.slow
def test_the_critic_of_a2c_learns_the_known_values_of_the_corridor() -> None:
    model = policy(features=1, units=32)
    a2c(model, corridors(16), A2CConfig(40_000, lr=2e-2, discount=DISCOUNT, decay=0.95, gradient_clip=100.0))
    with torch.no_grad():
        learned = model(torch.arange(LENGTH)[:, None] / LENGTH).value.numpy()
    np.testing.assert_allclose(learned, corridor_value(np.arange(LENGTH)), atol=0.25)


def test_returns_to_go_are_sums_to_the_end_of_the_episode() -> None:
    reward = torch.tensor([[1.0], [2.0], [4.0], [8.0]])
    done = torch.tensor([[False], [True], [False], [False]])
    assert returns_to_go(reward, done, 0.5)[:, 0].tolist() == [2, 2, 8, 8]


def test_whole_episodes_are_the_first_ones_and_all_of_them() -> None:
    envs = corridors(6, time_limit=20)
    envs.reset(seed=1)
    segment = collect_episodes(policy(features=1), envs, torch.Generator().manual_seed(0), steps=3)
    own = mark_first_episode(segment.done)
    places = (LENGTH * segment.observation[..., 0]).round().long()
    for env in range(6):
        start, length = int(places[0, env]), LENGTH - int(places[0, env])
        assert own[:, env].sum() == segment.finished_lengths[env] == length
        assert own[:length, env].all() and places[:length, env].tolist() == list(range(start, LENGTH))
        expected = sum(range(start + 1, LENGTH + 1)) / LENGTH
        assert segment.finished_returns[env].item() == pytest.approx(expected, abs=1e-6)


def test_a_baseline_leaves_less_variance_and_teaches_the_critic_what_comes_after() -> None:
    """The corridor's returns are known: the critic must find them, and with it nothing is left to explain."""
    model = policy(features=LENGTH + 1, units=32)
    cfg = REINFORCEConfig(steps=60_000, lr=2e-2, discount=DISCOUNT, gradient_clip=100.0)
    curve = reinforce(model, numbered_corridors(16, time_limit=50), cfg)
    with torch.no_grad():
        learned = model(torch.eye(LENGTH + 1)[:LENGTH]).value.numpy()
    np.testing.assert_allclose(learned, corridor_value(np.arange(LENGTH)), atol=0.15)
    plain = reinforce(policy(features=1), corridors(16, time_limit=50), REINFORCEConfig(steps=2000, baseline=False))
    assert curve.last("weight_variance") < 0.05 * plain.last("weight_variance")
    assert "value_loss" not in plain.series


def test_without_a_baseline_the_step_is_the_plain_one() -> None:
    model, envs = policy(), cartpoles(4)
    envs.reset(seed=0)
    segment = collect_episodes(model, envs, torch.Generator().manual_seed(0))
    own = mark_first_episode(segment.done)
    logp = log_probability(model(segment.observation[own]).logits, segment.action[own])
    expected = torch.autograd.grad(-(logp * returns_to_go(segment.reward, segment.done, 0.99)[own]).mean(), [
        model.actor.readout.weight])[0]  # fmt: skip
    improve(model, REINFORCEConfig(baseline=False, gradient_clip=1e9), segment, _Frozen(model), torch.Generator())
    torch.testing.assert_close(model.actor.readout.weight.grad, expected)


class _Frozen(torch.optim.SGD):
    """An optimiser that leaves the gradients to be looked at."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__(model.parameters(), lr=0.0)


@pytest.mark.slow
@pytest.mark.parametrize(("method", "cfg"), [(a2c, A2CConfig(60_000)), (reinforce, REINFORCEConfig(60_000, lr=1e-2))])
def test_a_short_run_learns_to_balance(method, cfg) -> None:
    model = policy(units=32)
    evaluate = partial(evaluate_policy, model, cartpoles, episodes=40, seed=1)
    before = evaluate().mean
    method(model, cartpoles(16), cfg)
    assert evaluate().score["interval"][0] > 2 * before


@pytest.mark.parametrize(
    ("method", "cfg"),
    [(a2c, A2CConfig(512, segment=8, checkpoint_every=1)), (reinforce, REINFORCEConfig(700, checkpoint_every=1))],
)
def test_a_stopped_run_continues_bit_for_bit(method, cfg, tmp_path: Path) -> None:
    whole, stopped, resumed = (policy() for _ in range(3))
    method(whole, cartpoles(4), cfg, seed=3)
    calls = []

    def stop(done: int, total: int) -> None:
        calls.append(done)
        if len(calls) == 3:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        method(stopped, cartpoles(4), cfg, seed=3, progress=stop, checkpoint=tmp_path / "state")
    method(resumed, cartpoles(4), cfg, seed=3, checkpoint=tmp_path / "state")
    assert torch.equal(weights(resumed), weights(whole))


def test_settings_that_leave_nothing_to_do_are_refused() -> None:
    with pytest.raises(ConfigError, match="'segment' of A2CConfig should be a whole number of 1 or more, not 0"):
        A2CConfig(segment=0)
    with pytest.raises(ConfigError, match="whole episodes"):
        REINFORCEConfig(segment=8)


class OneStep(gymnasium.Env):
    """Episodes of one step, in which action 1 is worth 1."""

    observation_space = spaces.Box(0, 1, (1,), np.float32)
    action_space = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        return np.zeros(1, dtype=np.float32), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict]:
        return np.zeros(1, dtype=np.float32), float(action), True, False, {}


def one_step(n: int) -> SyncVectorEnv:
    return SyncVectorEnv([OneStep] * n, autoreset_mode=AutoresetMode.SAME_STEP)


@pytest.mark.parametrize("n", [1, 3])
def test_reinforce_learns_from_episodes_of_one_step(n: int) -> None:
    model = policy(features=1)
    curve = reinforce(model, one_step(n), REINFORCEConfig(steps=200 * 16 * n, lr=0.05))
    assert all(map(math.isfinite, (value for _, value in curve.points("policy_loss"))))
    assert ("weight_variance" in curve.series) == (n > 1)
    assert model(torch.zeros(1, 1)).logits.softmax(-1)[0, 1] > 0.9


@pytest.mark.parametrize("rest", [0, 1, 2])
def test_a_single_sample_left_over_joins_the_minibatch_before_it(rest: int) -> None:
    n = 8 + rest
    numbers = torch.arange(float(n))
    batch = Batch(numbers[:, None], numbers.long(), numbers, numbers, numbers)
    parts = list(batch.shuffle(4, torch.Generator().manual_seed(0)))
    assert [len(part.action) for part in parts] == {0: [4, 4], 1: [4, 5], 2: [4, 4, 2]}[rest]
    assert sorted(torch.cat([part.action for part in parts]).tolist()) == list(range(n))
    assert [len(part.action) for part in batch.shuffle(1, torch.Generator())] == [1] * n


def test_ppo_learns_where_the_last_minibatch_would_have_one_sample() -> None:
    model = policy(features=1)
    ppo(model, one_step(1), PPOConfig(steps=1500, segment=5, minibatch=2, lr=0.02))
    assert model(torch.zeros(1, 1)).logits.softmax(-1)[0, 1] > 0.9


@pytest.mark.parametrize("learn", [ppo, trpo])
def test_a_single_sample_per_update_is_refused_where_advantages_are_normalised(learn: Callable[..., Any]) -> None:
    cfg = {ppo: PPOConfig, trpo: TRPOConfig}[learn](steps=10, segment=1)
    with pytest.raises(ConfigError, match="a single sample per update.* Choose segment=2 or more"):
        learn(policy(features=1), one_step(1), cfg)


def test_one_environment_and_segments_of_one_step_are_enough_for_a2c() -> None:
    model = policy(features=1)
    a2c(model, one_step(1), A2CConfig(steps=2000, segment=1, lr=0.01))
    assert model(torch.zeros(1, 1)).logits.softmax(-1)[0, 1] > 0.9
