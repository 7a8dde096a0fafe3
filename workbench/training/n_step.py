"""Returns over several steps (Sutton & Barto 2018, section 7.1): news of a reward goes back n steps at a time."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from workbench.training.replay import Transitions


@dataclass(frozen=True)
class Recent:
    """The last rounds, oldest first: what every environment showed, did and gained, and where that led.

    `following` is the state a step led to, before any reset; `done` is terminated or truncated.
    """

    observation: Float[Tensor, "step env *observation"]
    action: Int[Tensor, "step env"]
    reward: Float[Tensor, "step env"]
    following: Float[Tensor, "step env *observation"]
    terminated: Bool[Tensor, "step env"]
    done: Bool[Tensor, "step env"]

    @classmethod
    def none(cls, observation: Float[Tensor, "env *observation"]) -> Recent:
        """No round yet, of environments that show this."""
        shown, n = observation[None][:0], len(observation)
        flag = torch.zeros(0, n, dtype=torch.bool)
        return cls(shown, torch.zeros(0, n, dtype=torch.int64), torch.zeros(0, n), shown, flag, flag)

    def __len__(self) -> int:
        return len(self.reward)

    def then(self, new: Recent, n: int) -> Recent:
        """These rounds and new ones, the last n of them."""
        return Recent(**{name: torch.cat([old, getattr(new, name)])[-n:] for name, old in vars(self).items()})


def n_step(recent: Recent, discount: float) -> Transitions:
    """The oldest round's steps, each with all that came of it until now or the end of its episode.

    The reward is R(t) + discount R(t+1) + ... (Hessel et al. 2018, equation 1), and `following` the state after the
    last of these steps. An episode that ends on the way ends the sum: out of time it leaves a last state to value,
    terminated it leaves none.
    """
    total, steps, going = recent.reward[0], torch.ones_like(recent.action[0]), ~recent.done[0]
    for k in range(1, len(recent)):
        total = total + discount**k * recent.reward[k] * going
        steps = steps + going
        going = going & ~recent.done[k]
    last, env = steps - 1, torch.arange(len(steps))
    following, terminated = recent.following[last, env], recent.terminated[last, env]
    return Transitions(recent.observation[0], recent.action[0], total, following, terminated, steps)
