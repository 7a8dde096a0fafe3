"""Proximal policy optimisation (Schulman et al. 2017): many small steps on each segment, held near the old policy."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, NamedTuple

import torch
from annotated_types import Ge
from gymnasium.vector import VectorEnv
from jaxtyping import Float
from torch import Tensor, nn

from workbench.core.progress import Progress, silent
from workbench.core.ranges import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, Share, check_fields
from workbench.training.advantages import explained_variance, normalized
from workbench.training.curve import Curve
from workbench.training.on_policy import Keep, require_several, train_on_policy
from workbench.training.optimizers import Optimizer
from workbench.training.rollouts import Segment
from workbench.training.samples import Batch, Samples, learnable
from workbench.training.schedules import schedule

MEASURES = ("policy_loss", "value_loss", "kl", "clipped_fraction")


@dataclass(frozen=True)
class PPOConfig:
    """How to train; the defaults suit CartPole with 64 environments."""

    steps: PositiveInt = 100_000
    """Steps of all environments together, rounded up to whole segments."""
    segment: PositiveInt = 32
    """Steps of each environment between two updates."""
    epochs: PositiveInt = 4
    """Passes over each segment."""
    minibatch: Annotated[int, Ge(2)] = 512
    """Samples per optimiser step; advantages are normalised among them."""
    lr: PositiveFloat = 4e-3
    """Learning rate where the schedule's factor is 1."""
    schedule: str = "linear"
    """One of `schedules.SCHEDULES`, over updates."""
    discount: Share = 0.98
    """The paper's gamma."""
    decay: Share = 0.9
    """The paper's lambda: how far advantages look past the critic."""
    clip: PositiveFloat = 0.2
    """How far a probability ratio may move from 1, the paper's epsilon."""
    value_weight: NonNegativeFloat = 0.5
    """Weight of the critic's mean squared error."""
    entropy_bonus: NonNegativeFloat = 0.0
    """Weight of the policy's entropy."""
    gradient_clip: PositiveFloat = 0.5
    """Largest global norm of the gradient."""
    kl_stop: PositiveFloat | None = None
    """Estimated KL from the old policy, in nats, that ends an update early."""
    checkpoint_every: PositiveInt = 20
    """Updates between two writes of the training state."""
    keep_updates: tuple[NonNegativeInt, ...] = ()
    """Completed updates after which `keep` sees the model; 0 is before training."""

    def __post_init__(self) -> None:
        check_fields(self)
        schedule(self.schedule)


def ppo(
    model: nn.Module,
    envs: VectorEnv,
    cfg: PPOConfig,
    seed: int = 0,
    progress: Progress = silent,
    checkpoint: Path | None = None,
    keep: Keep | None = None,
) -> Curve:
    """Trains an actor-critic in place and returns its curve; see `train_on_policy` for checkpoints.

    Costs, for each sample, one forward pass and `epochs` forward and backward passes.
    """
    require_several(cfg.segment, envs)
    return train_on_policy(model, envs, cfg, partial(improve, model, cfg), seed, progress, checkpoint, keep)


def improve(
    model: nn.Module, cfg: PPOConfig, segment: Segment, optimizer: Optimizer, rng: torch.Generator
) -> dict[str, float]:
    """Several epochs of clipped steps on one segment, fewer when the policy has moved too far."""
    batch, parameters, measured = learnable(segment, cfg.discount, cfg.decay), list(model.parameters()), []
    for _ in range(cfg.epochs):
        for part in batch.shuffled(cfg.minibatch, rng):
            output = model(part.observation)
            slope = slopes(output.logits.detach(), output.value.detach(), part, cfg)
            measured.append(slope.measures)
            if cfg.kl_stop is not None and slope.measures[MEASURES.index("kl")] > cfg.kl_stop:
                return summary(measured, segment, batch)
            optimizer.zero_grad()
            torch.autograd.backward((output.logits, output.value), (slope.logits, slope.value))
            nn.utils.clip_grad_norm_(parameters, cfg.gradient_clip, foreach=True)
            optimizer.step()
    return summary(measured, segment, batch)


class Slopes(NamedTuple):
    """The derivative of PPO's loss along a network's outputs, and the `MEASURES` of a minibatch."""

    logits: Float[Tensor, "sample action"]
    value: Float[Tensor, " sample"]
    measures: Float[Tensor, " measure"]


@torch.no_grad()
def slopes(logits: Float[Tensor, "sample action"], value: Samples, part: Batch, cfg: PPOConfig) -> Slopes:
    """What the loss of one minibatch (equation 9, its sign turned) asks of the logits and values.

    That loss is `clipped_surrogate` + `value_weight` x `value_loss` - `entropy_bonus` x mean `entropy`. Its
    derivative is written out, for autograd takes three times as long: d log p(a) / d logit j is [j = a] - p(j), and
    an advantage whose ratio is clipped asks for nothing.
    """
    n, advantage, action = len(value), normalized(part.advantage), part.action[:, None]
    every_logp = logits.log_softmax(-1)
    probability = every_logp.exp()
    log_ratio = every_logp.gather(1, action)[:, 0] - part.old_logp
    ratio = log_ratio.exp()
    gain, capped = ratio * advantage, ratio.clamp(1 - cfg.clip, 1 + cfg.clip) * advantage
    asked = gain * (gain <= capped) / -n
    along = (probability * -asked[:, None]).scatter_add_(1, action, asked[:, None])
    if cfg.entropy_bonus:
        surplus = every_logp - (probability * every_logp).sum(-1, keepdim=True)
        along += cfg.entropy_bonus / n * probability * surplus
    error = value - part.target
    kl, clipped = (ratio - 1 - log_ratio).mean(), ((ratio - 1).abs() > cfg.clip).float().mean()
    measures = torch.stack([-torch.minimum(gain, capped).mean(), error.square().mean(), kl, clipped])
    return Slopes(along, error * (2 * cfg.value_weight / n), measures)


def summary(measured: list[Tensor], segment: Segment, batch: Batch) -> dict[str, float]:
    """Means over the steps of one update, and how much of the targets the critic had foreseen."""
    means = dict(zip(MEASURES, torch.stack(measured).mean(0).tolist(), strict=True))
    foreseen = explained_variance(segment.value.flatten(), batch.target)
    return means | ({"explained_variance": foreseen.item()} if foreseen.isfinite() else {})
