"""Proximal policy optimisation (Schulman et al. 2017): many small steps on each segment, held near the old policy."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from gymnasium.vector import VectorEnv
from jaxtyping import Float, Int
from torch import Tensor, nn

from workbench.core.progress import Progress, silent
from workbench.core.random import generator
from workbench.training.advantages import explained_variance, generalized_advantages, normalized
from workbench.training.curve import Curve
from workbench.training.optimizers import Optimizer, build_optimizer
from workbench.training.policy_losses import (
    approximate_kl,
    clipped_fraction,
    clipped_surrogate,
    entropy,
    log_probability,
    value_loss,
)
from workbench.training.rollouts import Segment, collect, start
from workbench.training.schedules import schedule

Samples = Float[Tensor, " sample"]


@dataclass(frozen=True)
class PPOConfig:
    """Settings; the defaults solve CartPole with 64 environments.

    `steps` counts steps of all environments, `segment` those of each between two updates; `minibatch` is in samples.
    `discount` and `decay` are the gamma and lambda of the advantages, `clip` is how far a probability ratio may move,
    and an update ends early once the estimated KL from the old policy exceeds `kl_stop` nats.
    """

    steps: int = 200_000
    segment: int = 32
    epochs: int = 10
    minibatch: int = 512
    learning_rate: float = 1e-3
    schedule: str = "linear"
    discount: float = 0.98
    decay: float = 0.9
    clip: float = 0.2
    value_weight: float = 0.5
    entropy_bonus: float = 0.0
    gradient_norm: float = 0.5
    kl_stop: float = math.inf


@dataclass(frozen=True)
class Batch:
    """Samples to learn from: what was seen and done, how likely that was, and how well it turned out."""

    observation: Float[Tensor, "sample *observation"]
    action: Int[Tensor, " sample"]
    old_logp: Samples
    advantage: Samples
    target: Samples

    def shuffled(self, size: int, rng: torch.Generator) -> Iterator[Batch]:
        """All samples in random order, in minibatches of `size`."""
        order = torch.randperm(len(self.action), generator=rng)
        columns = [getattr(self, field.name)[order].split(size) for field in fields(self)]
        return (Batch(*parts) for parts in zip(*columns, strict=True))


def ppo(
    model: nn.Module,
    envs: VectorEnv,
    cfg: PPOConfig,
    seed: int = 0,
    progress: Progress = silent,
    checkpoint: Path | None = None,
) -> Curve:
    """Trains an actor-critic in place and tells how it went, by environment step."""
    rng = generator(seed, "ppo")
    optimizer = build_optimizer(model, "adam", cfg.learning_rate, eps=1e-5)
    frontier, curve = start(model, envs, seed), Curve()
    updates = math.ceil(cfg.steps / (cfg.segment * envs.num_envs))
    model.train()
    for update in range(updates):
        began = time.perf_counter()
        segment = collect(model, envs, frontier, cfg.segment, rng)
        frontier = segment.frontier
        rate = cfg.learning_rate * schedule(cfg.schedule)(update, updates, 0, 0.0)
        for group in optimizer.param_groups:
            group["lr"] = rate
        losses = improve(model, optimizer, learnable(segment, cfg), cfg, rng)
        speed = segment.reward.numel() / (time.perf_counter() - began)
        curve = curve.with_point((update + 1) * segment.reward.numel(), described(segment) | losses | {"steps_per_second": speed})
        progress(update + 1, updates)
    model.eval()
    return curve


def learnable(segment: Segment, cfg: PPOConfig) -> Batch:
    """The samples of a segment with their advantages; the critic's target is advantage plus value."""
    advantage = generalized_advantages(
        segment.reward, segment.value, segment.next_value, segment.terminated, segment.done, cfg.discount, cfg.decay
    )
    action = segment.action.flatten()
    old_logp = log_probability(segment.logits.flatten(0, 1), action)
    target = (advantage + segment.value).flatten()
    return Batch(segment.observation.flatten(0, 1), action, old_logp, advantage.flatten(), target)


def improve(
    model: nn.Module, optimizer: Optimizer, batch: Batch, cfg: PPOConfig, rng: torch.Generator
) -> dict[str, float]:
    """Several epochs of clipped steps on one batch, fewer when the policy has moved too far."""
    measured = []
    for _ in range(cfg.epochs):
        for part in batch.shuffled(cfg.minibatch, rng):
            output = model(part.observation)
            logp = log_probability(output.logits, part.action)
            policy = clipped_surrogate(logp, part.old_logp, normalized(part.advantage), cfg.clip)
            value = value_loss(output.value, part.target)
            with torch.no_grad():
                kl = approximate_kl(logp, part.old_logp)
                moved = clipped_fraction(logp, part.old_logp, cfg.clip)
            measured.append(torch.stack([policy.detach(), value.detach(), kl, moved]))
            if kl > cfg.kl_stop:
                return summary(measured)
            loss = policy + cfg.value_weight * value
            if cfg.entropy_bonus:
                loss = loss - cfg.entropy_bonus * entropy(output.logits).mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), cfg.gradient_norm)
            optimizer.step()
    return summary(measured)


def summary(measured: list[Tensor]) -> dict[str, float]:
    """Means over the steps of one update."""
    names = ("policy_loss", "value_loss", "kl", "clipped_fraction")
    return dict(zip(names, torch.stack(measured).mean(0).tolist(), strict=True))


def described(segment: Segment) -> dict[str, float]:
    """What a segment says of the policy that made it; a return only when an episode ended."""
    seen = {"entropy": entropy(segment.logits.flatten(0, 1)).mean().item()}
    if len(segment.finished_returns):
        seen["return"] = segment.finished_returns.mean().item()
        seen["length"] = segment.finished_lengths.double().mean().item()
    return seen
