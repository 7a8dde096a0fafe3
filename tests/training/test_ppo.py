"""PPO against Stable-Baselines3's update, and on environments whose values are known."""

import itertools
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tests.training.corridor import DISCOUNT, LENGTH, corridor_value, corridors
from workbench.core.errors import Cancelled, CheckpointError, ConfigError, TrainingError
from workbench.core.random import seed_everything
from workbench.data.environments import make_vector
from workbench.training.advantages import normalize
from workbench.training.optimizers import build_optimizer
from workbench.training.policy_evaluation import evaluate_policy
from workbench.training.policy_losses import (
    approximate_kl,
    clipped_fraction,
    clipped_surrogate,
    log_probability,
    value_loss,
)
from workbench.training.ppo import PPOConfig, improve, ppo, ppo_loss
from workbench.training.ppo_gradient import ppo_gradient
from workbench.training.rollouts import Frontier, Segment, collect, start
from workbench.training.samples import Batch, prepare_batch
from workbench.zoo.actor_critic import ActorCritic, ActorCriticConfig

SMALL = PPOConfig(steps=6 * 4 * 8, segment=8, epochs=2, minibatch=16, checkpoint_every=2)
cartpoles = partial(make_vector, "workbench/CartPole-v1")


def policy(seed: int = 0, features: int = 4, units: int = 8) -> ActorCritic:
    seed_everything(seed)
    return ActorCritic(ActorCriticConfig(observation=(features,), hidden=(units, units)))


def weights(model: nn.Module) -> torch.Tensor:
    return nn.utils.parameters_to_vector(model.parameters()).detach()


def their_ppo(cfg: PPOConfig):
    """Stable-Baselines3's PPO with our settings, one segment collected."""
    sb3 = pytest.importorskip("stable_baselines3")
    model = sb3.PPO(
        "MlpPolicy", sb3.common.env_util.make_vec_env("CartPole-v1", 4, seed=0), learning_rate=cfg.lr,
        n_steps=cfg.segment, batch_size=cfg.minibatch, n_epochs=cfg.epochs, gamma=cfg.discount, gae_lambda=cfg.decay,
        clip_range=cfg.clip, ent_coef=cfg.entropy_bonus, vf_coef=cfg.value_weight, max_grad_norm=cfg.gradient_clip,
        seed=0, device="cpu",
    )  # fmt: skip
    _, callback = model._setup_learn(10**6)
    model.collect_rollouts(model.env, callback, model.rollout_buffer, cfg.segment)
    return model


def with_their_weights(theirs: nn.Module) -> ActorCritic:
    ours, extractor = policy(units=64), theirs.mlp_extractor
    pairs = [(theirs.action_net, ours.actor.readout), (theirs.value_net, ours.critic.readout)]
    for net, stream in ((extractor.policy_net, ours.actor), (extractor.value_net, ours.critic)):
        pairs += [(net[2 * i], block.linear) for i, block in enumerate(stream.blocks)]
    for source, target in pairs:
        target.load_state_dict(source.state_dict())
    return ours


@torch.no_grad()
def their_segment(theirs, ours: ActorCritic) -> Segment:
    buffer = theirs.rollout_buffer
    observation, value = torch.from_numpy(buffer.observations), torch.from_numpy(buffer.values)
    last = torch.from_numpy(theirs._last_obs)
    done = torch.from_numpy(np.vstack([buffer.episode_starts[1:], theirs._last_episode_starts[None]])).bool()
    return Segment(
        observation, torch.from_numpy(buffer.actions[..., 0]).long(), ours(observation.flatten(0, 1)).logits.unflatten(
            0, observation.shape[:2]), value, torch.cat([value[1:], ours(last).value[None]]),
        torch.from_numpy(buffer.rewards), done, done, torch.empty(0), torch.empty(0, dtype=torch.int64),
        Frontier(last, torch.zeros(4), torch.zeros(4, dtype=torch.int64)),
    )  # fmt: skip


@pytest.mark.parametrize("bonus", [0.0, 0.02])
def test_an_update_moves_the_weights_where_stable_baselines3_moves_them(bonus: float) -> None:
    cfg = PPOConfig(segment=32, epochs=4, minibatch=128, lr=1e-3, entropy_bonus=bonus)
    theirs = their_ppo(cfg)
    ours = with_their_weights(theirs.policy)
    segment = their_segment(theirs, ours)
    optimizer = build_optimizer(ours, "adam", cfg.lr, eps=1e-5)
    before = weights(ours)
    measured = improve(ours, cfg, segment, optimizer, torch.Generator())
    np.testing.assert_allclose(
        prepare_batch(segment, cfg.discount, cfg.decay).target.reshape(32, 4), theirs.rollout_buffer.returns, rtol=1e-4
    )
    theirs.train()
    moved = (weights(ours) - before).abs().max()
    torch.testing.assert_close(weights(ours), weights(with_their_weights(theirs.policy)), rtol=0, atol=1e-3 * moved)
    logged = theirs.logger.name_to_value
    assert measured["value_loss"] == pytest.approx(logged["train/value_loss"], rel=1e-3)
    assert measured["explained_variance"] == pytest.approx(logged["train/explained_variance"], abs=1e-4)


@pytest.mark.parametrize("bonus", [0.0, 0.3])
def test_the_gradient_in_closed_form_is_that_of_the_loss(bonus: float) -> None:
    rng, n = torch.Generator().manual_seed(0), 200
    logits, value = torch.randn(n, 5, generator=rng).requires_grad_(), torch.randn(n, generator=rng).requires_grad_()
    action = torch.randint(5, (n,), generator=rng)
    old_logp = log_probability(logits, action).detach() + 0.3 * torch.randn(n, generator=rng)
    part = Batch(torch.zeros(n, 1), action, old_logp, *torch.randn(2, n, generator=rng))
    cfg = replace(SMALL, entropy_bonus=bonus)
    found = ppo_gradient(logits.detach(), value.detach(), part, cfg.clip, cfg.value_weight, bonus)
    expected = torch.autograd.grad(ppo_loss(logits, value, part, cfg), (logits, value))
    torch.testing.assert_close((found.logits, found.value), expected)
    logp, error = log_probability(logits, action), value_loss(value, part.target)
    policy = clipped_surrogate(logp, old_logp, normalize(part.advantage), cfg.clip)
    kl, clipped = approximate_kl(logp, old_logp), clipped_fraction(logp, old_logp, cfg.clip)
    assert 0.2 < clipped < 0.8
    torch.testing.assert_close(found.measures, torch.stack([policy, error, kl, clipped]).detach())


@pytest.mark.slow
def test_the_critic_learns_the_known_values_of_the_corridor() -> None:
    model = policy(features=1, units=32)
    cfg = PPOConfig(5120, segment=16, epochs=6, minibatch=64, lr=5e-3, discount=DISCOUNT, decay=0.95)
    ppo(model, corridors(16), cfg)
    places = torch.arange(LENGTH)[:, None] / LENGTH
    with torch.no_grad():
        learned = model(places).value.numpy()
    np.testing.assert_allclose(learned, corridor_value(np.arange(LENGTH)), atol=0.1)


@pytest.mark.slow
def test_a_short_run_learns_to_balance() -> None:
    model = policy(1, units=64)
    evaluate = partial(evaluate_policy, model, partial(make_vector, "workbench/CartPole-v1"), episodes=40, seed=1)
    before = evaluate().mean
    ppo(model, cartpoles(64), PPOConfig(steps=30_000))
    assert evaluate().score["interval"][0] > 2 * before


def test_the_curve_tells_the_story_by_environment_step() -> None:
    curve = ppo(policy(), cartpoles(4), SMALL)
    assert curve.step == [32, 64, 96, 128, 160, 192]
    for name in ("entropy", "kl", "clipped_fraction", "policy_loss", "value_loss", "seconds", "steps_per_second"):
        assert len(curve.points(name)) == 6, name
    assert {"return", "length", "explained_variance"} <= set(curve.series)


def test_one_seed_gives_one_network_and_another_seed_another() -> None:
    models = [policy() for _ in range(3)]
    for model, seed in zip(models, (0, 0, 1), strict=True):
        ppo(model, cartpoles(4), SMALL, seed)
    assert torch.equal(weights(models[0]), weights(models[1]))
    assert not torch.equal(weights(models[0]), weights(models[2]))


def test_a_stopped_run_continues_bit_for_bit(tmp_path: Path) -> None:
    whole, stopped, resumed = (policy() for _ in range(3))
    expected = ppo(whole, cartpoles(4), SMALL, seed=3)
    path = tmp_path / "training.safetensors"

    def stop(done: int, total: int) -> None:
        if done == 3 * 32:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        ppo(stopped, cartpoles(4), SMALL, seed=3, progress=stop, checkpoint=path)
    curve = ppo(resumed, cartpoles(4), SMALL, seed=3, checkpoint=path)
    assert torch.equal(weights(resumed), weights(whole))
    timeless = [{k: v for k, v in c.table().items() if "second" not in k} for c in (curve, expected)]
    assert timeless[0] == timeless[1]


def test_a_run_continues_where_environments_cannot_be_stored(tmp_path: Path) -> None:
    path = tmp_path / "training.safetensors"
    ppo(policy(features=1), corridors(4), SMALL, checkpoint=path)
    path_again = ppo(policy(1, features=1), corridors(4), SMALL, checkpoint=path)
    assert path_again.step[-1] == SMALL.steps


def test_a_checkpoint_of_other_settings_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "training.safetensors"
    ppo(policy(), cartpoles(4), SMALL, checkpoint=path)
    with pytest.raises(CheckpointError, match=r"clip=0\.2.*clip=0\.3"):
        ppo(policy(), cartpoles(4), replace(SMALL, clip=0.3), checkpoint=path)


def test_an_update_ends_when_the_policy_has_moved_too_far() -> None:
    cfg = replace(SMALL, epochs=10, lr=0.05)
    steps = {}
    for kl_stop in (None, 0.005):
        model, envs, rng = policy(), cartpoles(4), torch.Generator().manual_seed(0)
        optimizer = build_optimizer(model, "adam", cfg.lr)
        segment = collect(model, envs, start(model, envs, 0), cfg.segment, rng)
        improve(model, replace(cfg, kl_stop=kl_stop), segment, optimizer, rng)
        steps[kl_stop] = int(optimizer.state_dict()["state"][0]["step"])
    assert steps[None] == 10 * 4 * 8 // 16
    assert 0 < steps[0.005] < steps[None]


def test_the_learning_rate_falls_to_zero_over_the_run() -> None:
    model, seen = policy(), []
    cfg = replace(SMALL, keep_updates=tuple(range(7)))
    ppo(model, cartpoles(4), cfg, keep=lambda update, m: seen.append(weights(m)))
    moves = [(b - a).abs().max() for a, b in itertools.pairwise(seen)]
    assert len(seen) == 7
    assert moves[-1] < 0.5 * moves[0]


def test_a_run_that_explodes_stops_and_says_where() -> None:
    with pytest.raises(TrainingError, match=r"update \d+: .* is (nan|inf)"):
        ppo(policy(), cartpoles(4), replace(SMALL, lr=1e30))


def test_settings_that_leave_nothing_to_do_are_refused() -> None:
    with pytest.raises(ConfigError, match="'epochs' of PPOConfig should be a whole number of 1 or more, not 0"):
        PPOConfig(epochs=0)
