"""Exact returns in a known finite world: of the best policy there is, and of a given one (Bellman 1957).

`going_on` holds the probability of each next state without the episode's end; `horizon` is the time limit.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

Table = Float[Tensor, "state action"]
GoingOn = Float[Tensor, "state action next_state"]


def backed_up(value: Float[Tensor, " next_state"], going_on: GoingOn, reward: Table, discount: float = 1.0) -> Table:
    """What each action is worth when the states it leads to are worth `value`."""
    return reward + discount * going_on @ value


def value_iteration(going_on: GoingOn, reward: Table, horizon: int, discount: float = 1.0) -> Table:
    """What each action is worth with `horizon` steps to go when every later one is the best for the steps then left.

    No policy does better within the time limit. Costs `horizon` products with the table.
    """
    q = torch.zeros_like(reward)
    for _ in range(horizon):
        q = backed_up(q.max(dim=1).values, going_on, reward, discount)
    return q


def policy_return(
    policy: Int[Tensor, " state"], going_on: GoingOn, reward: Table, start: Float[Tensor, " state"], horizon: int
) -> float:
    """Expected return, within `horizon` steps, of taking action `policy[state]` in every state."""
    states = torch.arange(len(policy))
    value = torch.zeros_like(start)
    for _ in range(horizon):
        value = backed_up(value, going_on, reward)[states, policy]
    return float(start @ value)
