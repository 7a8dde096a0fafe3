"""Proximal policy optimisation (Schulman et al. 2017): several epochs of clipped updates on each segment.

1. Run the policy in all environments for `segment` steps (`on_policy`, `rollouts`).
2. Compute generalized advantages and the critic's targets (`samples`, `advantages`).
3. For `epochs` passes over the samples in random minibatches, normalise the advantages and descend the gradient of
   `ppo_loss`. Stop early once the KL divergence from the old policy exceeds `kl_stop`.

The gradient is computed in closed form by `ppo_gradient`, which tests compare with autograd's of `ppo_loss`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
from annotated_types import Ge
from gymnasium.vector import VectorEnv
from jaxtyping import Float
from torch import Tensor, nn

from workbench.core.progress import Progress, silent
from workbench.core.ranges import NonNegativeFloat, PositiveFloat, PositiveInt, Share
from workbench.training.advantages import finite_explained_variance, normalize
from workbench.training.curve import Curve
from workbench.training.on_policy import Keep, OnPolicyConfig, require_several, train_on_policy
from workbench.training.optimizers import Optimizer
from workbench.training.policy_losses import Scalar, clipped_surrogate, entropy, log_probability, value_loss
from workbench.training.ppo_gradient import MEASURES, ppo_gradient
from workbench.training.rollouts import Segment
from workbench.training.samples import Batch, Samples, prepare_batch


@dataclass(frozen=True)
class PPOConfig(OnPolicyConfig):
    """Settings of PPO. The defaults suit CartPole with 64 environments."""

    steps: PositiveInt = 100_000
    segment: PositiveInt = 32
    epochs: PositiveInt = 4
    """Passes over each segment."""
    minibatch: Annotated[int, Ge(2)] = 512
    """Samples per optimiser step; advantages are normalised among them."""
    lr: PositiveFloat = 4e-3
    discount: Share = 0.98
    decay: Share = 0.9
    """Lambda of generalized advantages."""
    clip: PositiveFloat = 0.2
    """Largest distance of a probability ratio from 1 that is rewarded, the paper's epsilon."""
    value_weight: NonNegativeFloat = 0.5
    """Weight of the critic's mean squared error."""
    entropy_bonus: NonNegativeFloat = 0.0
    """Weight of the policy's entropy."""
    gradient_clip: PositiveFloat = 0.5
    """Largest global norm of the gradient."""
    kl_stop: PositiveFloat | None = None
    """Estimated KL from the old policy, in nats, that ends an update early."""
    checkpoint_every: PositiveInt = 20


def ppo(
    model: nn.Module,
    envs: VectorEnv,
    cfg: PPOConfig,
    seed: int = 0,
    progress: Progress = silent,
    checkpoint: Path | None = None,
    keep: Keep | None = None,
) -> Curve:
    """Train an actor-critic in place and return its curve. Arguments are those of `train_on_policy`.

    Cost: One forward pass and `epochs` forward and backward passes for each sample.
    """
    require_several(cfg.segment, envs)
    return train_on_policy(model, envs, cfg, partial(improve, model, cfg), seed, progress, checkpoint, keep)


def ppo_loss(logits: Float[Tensor, "sample action"], value: Samples, part: Batch, cfg: PPOConfig) -> Scalar:
    """Loss of one minibatch, to be minimised (Schulman et al. 2017, equation 9 with the opposite sign)."""
    logp = log_probability(logits, part.action)
    policy = clipped_surrogate(logp, part.old_logp, normalize(part.advantage), cfg.clip)
    return policy + cfg.value_weight * value_loss(value, part.target) - cfg.entropy_bonus * entropy(logits).mean()


def improve(
    model: nn.Module, cfg: PPOConfig, segment: Segment, optimizer: Optimizer, rng: torch.Generator
) -> dict[str, float]:
    """Take several epochs of clipped steps on one segment, fewer if the policy moves too far; return the measures."""
    batch, parameters, measured = prepare_batch(segment, cfg.discount, cfg.decay), list(model.parameters()), []
    for _ in range(cfg.epochs):
        for part in batch.shuffle(cfg.minibatch, rng):
            output = model(part.observation)
            gradient = ppo_gradient(
                output.logits.detach(), output.value.detach(), part, cfg.clip, cfg.value_weight, cfg.entropy_bonus
            )
            measured.append(gradient.measures)
            if cfg.kl_stop is not None and gradient.measures[MEASURES.index("kl")] > cfg.kl_stop:
                return summarize(measured, segment, batch)
            optimizer.zero_grad()
            torch.autograd.backward((output.logits, output.value), (gradient.logits, gradient.value))
            nn.utils.clip_grad_norm_(parameters, cfg.gradient_clip, foreach=True)
            optimizer.step()
    return summarize(measured, segment, batch)


def summarize(measured: list[Tensor], segment: Segment, batch: Batch) -> dict[str, float]:
    """Average the measures of an update's steps and add the critic's explained variance before the update."""
    means = dict(zip(MEASURES, torch.stack(measured).mean(0).tolist(), strict=True))
    return means | finite_explained_variance(segment.value.flatten(), batch.target)
