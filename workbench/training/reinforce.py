"""REINFORCE (Williams 1992) with the critic as an optional baseline.

1. Run one whole episode in every environment.
2. Compute the discounted return after each step, less the critic's value if `baseline`.
3. Take one step along the gradient of log-probability times that weight, and train the critic on the returns.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from gymnasium.vector import VectorEnv
from jaxtyping import Bool, Float
from torch import Tensor, nn

from workbench.core.errors import ConfigError
from workbench.core.progress import Progress, silent
from workbench.core.ranges import NonNegativeInt, PositiveFloat, PositiveInt
from workbench.training.curve import Curve
from workbench.training.on_policy import Keep, OnPolicyConfig, train_on_policy
from workbench.training.optimizers import Optimizer
from workbench.training.policy_losses import log_probability, policy_gradient_loss, value_loss
from workbench.training.rollouts import Segment, mark_first_episode

Steps = Float[Tensor, "step env"]


@dataclass(frozen=True)
class REINFORCEConfig(OnPolicyConfig):
    """Settings of REINFORCE. The defaults suit CartPole with 16 environments."""

    steps: PositiveInt = 600_000
    lr: PositiveFloat = 3e-3
    baseline: bool = True
    """Subtract the critic's value from the returns, which lowers the variance at the same mean."""
    gradient_clip: PositiveFloat = 0.5
    """Largest global norm of the gradient."""
    segment: NonNegativeInt = 0
    """Always 0: every update uses one whole episode of each environment."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.segment != 0:
            raise ConfigError(
                f"segment={self.segment}: REINFORCE learns from whole episodes. Leave it at 0, or use A2C."
            )


def reinforce(
    model: nn.Module,
    envs: VectorEnv,
    cfg: REINFORCEConfig,
    seed: int = 0,
    progress: Progress = silent,
    checkpoint: Path | None = None,
    keep: Keep | None = None,
) -> Curve:
    """Train an actor-critic in place and return its curve. Arguments are those of `train_on_policy`.

    An episode cut by a time limit counts as if it had ended there. Cost: Two forward passes and one backward pass for
    each sample.
    """
    return train_on_policy(model, envs, cfg, partial(improve, model, cfg), seed, progress, checkpoint, keep)


def returns_to_go(reward: Steps, done: Bool[Tensor, "step env"], discount: float) -> Steps:
    """Compute the discounted return from every step to the end of its episode or of the segment."""
    total, running = torch.empty_like(reward), torch.zeros_like(reward[0])
    for step in reversed(range(len(reward))):
        running = reward[step] + discount * running * ~done[step]
        total[step] = running
    return total


def improve(
    model: nn.Module, cfg: REINFORCEConfig, segment: Segment, optimizer: Optimizer, rng: torch.Generator
) -> dict[str, float]:
    """Take one gradient step on the first episodes of a segment and return its measures."""
    own = mark_first_episode(segment.done)
    came_after = returns_to_go(segment.reward, segment.done, cfg.discount)[own]
    output = model(segment.observation[own])
    logp = log_probability(output.logits, segment.action[own])
    weight = came_after - segment.value[own] if cfg.baseline else came_after
    critic = value_loss(output.value, came_after) if cfg.baseline else torch.zeros(())
    policy = policy_gradient_loss(logp, weight)
    optimizer.zero_grad()
    (policy + 0.5 * critic).backward()
    nn.utils.clip_grad_norm_(list(model.parameters()), cfg.gradient_clip, foreach=True)
    optimizer.step()
    measured = {"policy_loss": policy} | ({"value_loss": critic} if cfg.baseline else {})
    if len(weight) > 1:  # one environment and an episode of one step: no variance
        measured["weight_variance"] = weight.var()
    return {name: value.item() for name, value in measured.items()}
