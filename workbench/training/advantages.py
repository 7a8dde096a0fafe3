"""Generalized advantage estimation (GAE; Schulman et al. 2016), normalisation, and explained variance."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

Steps = Float[Tensor, "step env"]
Ends = Bool[Tensor, "step env"]


def generalized_advantages(
    reward: Steps, value: Steps, next_value: Steps, terminated: Ends, done: Ends, discount: float, decay: float
) -> Steps:
    """Compute generalized advantages (Schulman et al. 2016, equation 16).

    Args:
        reward: Reward of each step.
        value: Value of the state before each step.
        next_value: Value of the state after each step, before an automatic reset.
        terminated: True where the environment ended the episode; no value follows there.
        done: True where the episode was terminated or truncated. Cuts the sum.
        discount: The paper's gamma.
        decay: The paper's lambda.

    Returns:
        Exponentially weighted sums of temporal-difference errors.
    """
    error = reward + discount * next_value * ~terminated - value
    # Cut at episode ends, or the next episode's errors leak into this one.
    carry = discount * decay * (~done).to(reward.dtype)
    running, found = torch.zeros_like(error[0]), []
    for now, on in zip(reversed(error.unbind()), reversed(carry.unbind()), strict=True):
        running = torch.addcmul(now, on, running)
        found.append(running)
    return torch.stack(found[::-1])


def normalize(advantage: Float[Tensor, " *sample"]) -> Float[Tensor, " *sample"]:
    """Normalise advantages to mean 0 and standard deviation 1. A single advantage becomes 0."""
    if advantage.numel() < 2:
        return torch.zeros_like(advantage)
    spread, centre = torch.std_mean(advantage)
    return (advantage - centre) / (spread + 1e-8)


def explained_variance(value: Float[Tensor, " *sample"], target: Float[Tensor, " *sample"]) -> Float[Tensor, ""]:
    """Compute the share of the returns' variance that the values predict; NaN if the returns do not vary."""
    spread = target.var(correction=0)
    return torch.where(spread > 0, 1 - (target - value).var(correction=0) / spread, torch.nan)


def finite_explained_variance(value: Float[Tensor, " *sample"], target: Float[Tensor, " *sample"]) -> dict[str, float]:
    """Return the explained variance as a measure for the curve, or nothing if it is undefined."""
    share = explained_variance(value, target)
    return {"explained_variance": share.item()} if share.isfinite() else {}
