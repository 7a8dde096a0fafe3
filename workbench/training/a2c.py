"""Advantage actor-critic (A2C, the synchronous form of Mnih et al. 2016): one gradient step on each short segment.

1. Run the policy in all environments for `segment` steps.
2. Compute advantages and n-step returns (`samples.prepare_batch`).
3. Take one step along the policy gradient, towards the returns, and along the entropy's gradient.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from gymnasium.vector import VectorEnv
from torch import nn

from workbench.core.progress import Progress, silent
from workbench.core.ranges import NonNegativeFloat, PositiveFloat, PositiveInt, Share
from workbench.training.advantages import finite_explained_variance
from workbench.training.curve import Curve
from workbench.training.on_policy import Keep, OnPolicyConfig, train_on_policy
from workbench.training.optimizers import Optimizer
from workbench.training.policy_losses import entropy, log_probability, policy_gradient_loss, value_loss
from workbench.training.rollouts import Segment
from workbench.training.samples import prepare_batch


@dataclass(frozen=True)
class A2CConfig(OnPolicyConfig):
    """Settings of A2C. The defaults suit CartPole with 32 environments."""

    steps: PositiveInt = 400_000
    segment: PositiveInt = 8
    """Steps of each environment between two updates, the paper's n."""
    lr: PositiveFloat = 3e-3
    discount: Share = 0.98
    decay: Share = 1.0
    """Lambda of generalized advantages; 1 gives the paper's n-step returns."""
    value_weight: NonNegativeFloat = 0.5
    """Weight of the critic's mean squared error."""
    entropy_bonus: NonNegativeFloat = 0.0
    """Weight of the policy's entropy, the paper's beta."""
    gradient_clip: PositiveFloat = 0.5
    """Largest global norm of the gradient."""
    checkpoint_every: PositiveInt = 200


def a2c(
    model: nn.Module,
    envs: VectorEnv,
    cfg: A2CConfig,
    seed: int = 0,
    progress: Progress = silent,
    checkpoint: Path | None = None,
    keep: Keep | None = None,
) -> Curve:
    """Train an actor-critic in place and return its curve. Arguments are those of `train_on_policy`.

    Cost: Two forward passes and one backward pass for each sample.
    """
    return train_on_policy(model, envs, cfg, partial(improve, model, cfg), seed, progress, checkpoint, keep)


def improve(
    model: nn.Module, cfg: A2CConfig, segment: Segment, optimizer: Optimizer, rng: torch.Generator
) -> dict[str, float]:
    """Take one gradient step on all samples of a segment and return its measures."""
    batch = prepare_batch(segment, cfg.discount, cfg.decay)
    output = model(batch.observation)
    policy = policy_gradient_loss(log_probability(output.logits, batch.action), batch.advantage)
    value = value_loss(output.value, batch.target)
    loss = policy + cfg.value_weight * value - cfg.entropy_bonus * entropy(output.logits).mean()
    optimizer.zero_grad()
    loss.backward()
    norm = nn.utils.clip_grad_norm_(list(model.parameters()), cfg.gradient_clip, foreach=True)
    optimizer.step()
    measured = {"policy_loss": policy.item(), "value_loss": value.item(), "gradient_norm": norm.item()}
    return measured | finite_explained_variance(segment.value.flatten(), batch.target)
