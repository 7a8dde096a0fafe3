"""Step-by-step record of an episode: observations, policy, values, actions and rewards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from workbench.analysis.policies.episodes import Step
from workbench.core.coordinates import Result, View
from workbench.core.errors import InputError


@dataclass(frozen=True)
class EpisodeTrace(Result):
    """Record of one episode, one row per step. Returns are discounted, in units of the reward.

    `probability` is the softmax of the logits; for a Q-network 1 for the greedy action. `value` is the network's value
    and `q` that of the action taken: the network's own Q, else reward + discount * next value. `advantage` is q -
    value. `surprise` is -log of the action's probability in nats. `td_error` is reward + discount * next value - value.
    `return_to_go` is the return that followed.
    """

    view: ClassVar[View] = View(main="value")

    observation: Float[Tensor, "step *observation"]
    logits: Float[Tensor, "step action"]
    probability: Float[Tensor, "step action"]
    value: Float[Tensor, " step"]
    q: Float[Tensor, " step"]
    advantage: Float[Tensor, " step"]
    surprise: Float[Tensor, " step"]
    td_error: Float[Tensor, " step"]
    return_to_go: Float[Tensor, " step"]
    action: Int[Tensor, " step"]
    reward: Float[Tensor, " step"]
    terminated: bool


@torch.no_grad()
def trace_episode(policy: Callable[[Tensor], object], steps: list[Step], discount: float) -> EpisodeTrace:
    """Compute the record of one episode from its steps.

    The value after termination is 0.

    Args:
        policy: Policy with values, or Q-network.
        steps: Steps of a single row.
        discount: Discount factor of the returns.

    Raises:
        InputError: If there are no steps, or steps of several rows.

    Cost: 2 forward passes on all steps.
    """
    if not steps or any(len(step.rows) != 1 for step in steps):
        raise InputError("Expected at least one step, each of a single row. Run one episode in one row.")
    observation, led_to = (torch.cat([getattr(step, name) for step in steps]) for name in ("observation", "led_to"))
    action, reward = torch.cat([step.action for step in steps]), torch.cat([step.reward for step in steps]).float()
    output, after = policy(observation), policy(led_to)
    logits, value, following = output.logits, output.value, after.value.clone()  # type: ignore[attr-defined]
    if terminated := bool(steps[-1].terminated[0]):
        following[-1] = 0
    backed_up = reward + discount * following
    if hasattr(output, "q"):
        probability = torch.eye(logits.shape[1])[logits.argmax(dim=1)]
        q = logits.gather(1, action[:, None])[:, 0]
    else:
        probability, q = logits.softmax(dim=-1), backed_up
    surprise = -probability.gather(1, action[:, None])[:, 0].log()
    return EpisodeTrace(
        observation, logits, probability, value, q, q - value, surprise, backed_up - value,
        discount_returns(reward, discount), action, reward, terminated,
    )  # fmt: skip


def discount_returns(reward: Float[Tensor, " step"], discount: float) -> Float[Tensor, " step"]:
    """Compute the discounted sum of each step's reward and all later ones."""
    total, found = torch.zeros(()), torch.zeros_like(reward)
    for t in range(len(reward) - 1, -1, -1):
        total = found[t] = reward[t] + discount * total
    return found
