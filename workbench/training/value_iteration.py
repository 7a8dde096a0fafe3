"""Exact finite-horizon returns in a tabular MDP (Bellman 1957), of the best policy and of a given one.

`transition` holds the probability of each next state without termination; `horizon` is the time limit.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

Table = Float[Tensor, "state action"]
GoingOn = Float[Tensor, "state action next_state"]


def back_up(value: Float[Tensor, " next_state"], transition: GoingOn, reward: Table, discount: float = 1.0) -> Table:
    """Compute the value of each action from the values of the next states."""
    return reward + discount * transition @ value


def value_iteration(transition: GoingOn, reward: Table, horizon: int, discount: float = 1.0) -> Table:
    """Compute the value of each action with `horizon` steps left, if all later actions are optimal.

    No policy has a higher return within the time limit. Cost: `horizon` products with the table.
    """
    q = torch.zeros_like(reward)
    for _ in range(horizon):
        q = back_up(q.max(dim=1).values, transition, reward, discount)
    return q


def policy_return(
    policy: Int[Tensor, " state"], transition: GoingOn, reward: Table, start: Float[Tensor, " state"], horizon: int
) -> float:
    """Compute the expected return within `horizon` steps of taking action `policy[state]` in every state."""
    states = torch.arange(len(policy))
    value = torch.zeros_like(start)
    for _ in range(horizon):
        value = back_up(value, transition, reward)[states, policy]
    return float(start @ value)
