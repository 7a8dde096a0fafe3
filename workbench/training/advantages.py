"""How much better an action was than expected: advantages and returns over a segment of experience."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

Steps = Float[Tensor, "step env"]
Ends = Bool[Tensor, "step env"]


def generalized_advantages(
    reward: Steps, value: Steps, next_value: Steps, terminated: Ends, done: Ends, discount: float, decay: float
) -> Steps:
    """Exponentially weighted sums of temporal-difference errors (Schulman et al. 2016, equation 16).

    `next_value` is the value of the state each step led to: of the episode's own last state, never of the one
    after an automatic reset. Termination makes it zero; truncation does not, for time ran out and the world did not.
    `done` is either of the two and cuts the sum. `decay` is the paper's lambda, `discount` its gamma.
    """
    surprise = reward + discount * next_value * ~terminated - value
    # Cut at episode ends, or the next episode's surprise leaks into this one.
    carry = discount * decay * (~done).to(reward.dtype)
    running, found = torch.zeros_like(surprise[0]), []
    for now, on in zip(reversed(surprise.unbind()), reversed(carry.unbind()), strict=True):
        running = torch.addcmul(now, on, running)
        found.append(running)
    return torch.stack(found[::-1])


def normalized(advantage: Float[Tensor, " *sample"]) -> Float[Tensor, " *sample"]:
    """Advantages with mean zero and standard deviation one, so that one learning rate suits every reward scale.

    A single advantage is its own mean, so it becomes 0.
    """
    if advantage.numel() < 2:
        return torch.zeros_like(advantage)
    spread, centre = torch.std_mean(advantage)
    return (advantage - centre) / (spread + 1e-8)


def explained_variance(value: Float[Tensor, " *sample"], target: Float[Tensor, " *sample"]) -> Float[Tensor, ""]:
    """Share of the variance of the returns that the values predict: 1 perfect, 0 no better than their mean.

    NaN when the returns do not vary.
    """
    spread = target.var(correction=0)
    return torch.where(spread > 0, 1 - (target - value).var(correction=0) / spread, torch.nan)
