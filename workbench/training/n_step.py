"""N-step returns (Sutton & Barto 2018, section 7.1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from workbench.training.replay import Transitions


@dataclass(frozen=True)
class Recent:
    """Last rounds of all environments, oldest first.

    `following` is the state after a step, before any reset; `done` is terminated or truncated.
    """

    observation: Float[Tensor, "step env *observation"]
    action: Int[Tensor, "step env"]
    reward: Float[Tensor, "step env"]
    following: Float[Tensor, "step env *observation"]
    terminated: Bool[Tensor, "step env"]
    done: Bool[Tensor, "step env"]

    @classmethod
    def none(cls, observation: Float[Tensor, "env *observation"]) -> Recent:
        """Return an empty history of environments with these observations."""
        shown, n = observation[None][:0], len(observation)
        flag = torch.zeros(0, n, dtype=torch.bool)
        return cls(shown, torch.zeros(0, n, dtype=torch.int64), torch.zeros(0, n), shown, flag, flag)

    def __len__(self) -> int:
        return len(self.reward)

    def then(self, new: Recent, n: int) -> Recent:
        """Append new rounds and keep the last n."""
        return Recent(**{name: torch.cat([old, getattr(new, name)])[-n:] for name, old in vars(self).items()})


def n_step(recent: Recent, discount: float) -> Transitions:
    """Return the oldest round's steps with the rewards of all recorded rounds up to the end of the episode.

    The reward is R(t) + discount R(t+1) + ... (Hessel et al. 2018, equation 1), and `following` the state after the
    last of these steps.
    """
    total, steps, going = recent.reward[0], torch.ones_like(recent.action[0]), ~recent.done[0]
    for k in range(1, len(recent)):
        total = total + discount**k * recent.reward[k] * going
        steps = steps + going
        going = going & ~recent.done[k]
    last, env = steps - 1, torch.arange(len(steps))
    following, terminated = recent.following[last, env], recent.terminated[last, env]
    return Transitions(recent.observation[0], recent.action[0], total, following, terminated, steps)
