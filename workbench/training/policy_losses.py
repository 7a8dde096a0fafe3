"""Losses of policy-gradient methods for discrete actions, to be minimised unless noted."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

Samples = Float[Tensor, " sample"]
Logits = Float[Tensor, "sample action"]
Scalar = Float[Tensor, ""]


def log_probability(logits: Logits, action: Int[Tensor, " sample"]) -> Samples:
    """Compute the log-probability of each action in nats."""
    return logits.log_softmax(-1).gather(-1, action[:, None])[:, 0]


def entropy(logits: Logits) -> Samples:
    """Compute the entropy of each state's action distribution in nats."""
    logp = logits.log_softmax(-1)
    return -(logp.exp() * logp).sum(-1)


def policy_gradient_loss(logp: Samples, advantage: Samples) -> Scalar:
    """Policy-gradient loss: its gradient is minus that of the return (Williams 1992; Sutton et al. 2000)."""
    return -(logp * advantage).mean()


def surrogate(logp: Samples, old_logp: Samples, advantage: Samples) -> Scalar:
    """TRPO's surrogate objective, to be maximised (Schulman et al. 2015, equation 14)."""
    return ((logp - old_logp).exp() * advantage).mean()


def mean_kl(old_logits: Logits, logits: Logits) -> Scalar:
    """Compute the mean over states of the exact KL(old || new) in nats."""
    old = old_logits.log_softmax(-1)
    return (old.exp() * (old - logits.log_softmax(-1))).sum(-1).mean()


def clipped_surrogate(logp: Samples, old_logp: Samples, advantage: Samples, clip: float) -> Scalar:
    """PPO's policy loss (Schulman et al. 2017, equation 7)."""
    ratio = (logp - old_logp).exp()
    return -torch.minimum(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage).mean()


def value_loss(value: Samples, target: Samples) -> Scalar:
    """Mean squared error of the critic, without a factor of one half."""
    return (value - target).square().mean()


def approximate_kl(logp: Samples, old_logp: Samples) -> Scalar:
    """Estimate KL(old || new) in nats from the old policy's actions.

    Schulman's third estimator: unbiased, never negative and of low variance (joschu.net/blog/kl-approx.html).
    """
    log_ratio = logp - old_logp
    return (log_ratio.expm1() - log_ratio).mean()


def clipped_fraction(logp: Samples, old_logp: Samples, clip: float) -> Scalar:
    """Compute the share of samples whose probability ratio is farther than `clip` from 1."""
    return ((logp - old_logp).exp().sub(1).abs() > clip).to(logp.dtype).mean()
