"""Losses on preferences: Bradley-Terry, DPO, KL-penalised rewards, clipped values; and best of n."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import logsigmoid

Pairs = Float[Tensor, " pair"]
Tokens = Float[Tensor, "row pos"]
Scalar = Float[Tensor, ""]


def bradley_terry_loss(preferred: Pairs, other: Pairs) -> Scalar:
    """Mean negative log-likelihood, in nats, that the preferred of each pair wins (Bradley & Terry 1952)."""
    return -logsigmoid(preferred - other).mean()


def dpo_loss(preferred: Pairs, other: Pairs, ref_preferred: Pairs, ref_other: Pairs, beta: float) -> Scalar:
    """Bradley-Terry loss of the rewards that a policy implies (Rafailov et al. 2023, equation 7).

    The arguments are log-probabilities of whole completions in nats, under the policy and under the reference.
    """
    return bradley_terry_loss(beta * (preferred - ref_preferred), beta * (other - ref_other))


def penalized_rewards(
    score: Float[Tensor, " row"], logp: Tokens, ref_logp: Tokens, mask: Bool[Tensor, "row pos"], kl_coef: float
) -> Tokens:
    """Compute the reward of each token: the score at the last one, minus `kl_coef` times the log-ratio at every one.

    The log-ratio of a sampled token is the estimator k1 of the KL divergence (Ziegler et al. 2019, equation 2).
    """
    penalty = -kl_coef * (logp - ref_logp) * mask
    return penalty.scatter_add(1, last_true(mask)[:, None], score[:, None])


def last_true(mask: Bool[Tensor, "row pos"]) -> Int[Tensor, " row"]:
    """Return the index of the last true position of each row; 0 if there is none."""
    return (mask * torch.arange(mask.shape[1])).amax(dim=1)


def masked_mean(values: Tokens, mask: Bool[Tensor, "row pos"]) -> Scalar:
    """Compute the mean over the positions of a mask."""
    return (values * mask).sum() / mask.sum()


def clipped_value_loss(value: Tensor, old_value: Tensor, target: Tensor, clip: float) -> Scalar:
    """Half the mean squared error of a critic, where changes beyond `clip` in one update are not rewarded."""
    near = old_value + (value - old_value).clamp(-clip, clip)
    return torch.maximum((value - target).square(), (near - target).square()).mean() / 2


def best_of_n(score: Float[Tensor, "draw row"]) -> Int[Tensor, " row"]:
    """Return the index of the draw with the highest score in each row."""
    return score.argmax(dim=0)
