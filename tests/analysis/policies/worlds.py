"""Small environments and policies with known returns, for the tests of policy techniques."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from workbench.zoo.actor_critic import ActorCritic, ActorCriticConfig


class Guess:
    """Rows that show a few numbers and pay 1 when the action is 1 exactly where the first number is positive.

    The numbers of every row come from its seed; an episode lasts as long as its first number of steps says.
    """

    def __init__(self, num_envs: int, length: int = 6, features: int = 3) -> None:
        self.num_envs, self.length, self.features = num_envs, length, features

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        self.generators = [np.random.default_rng(one) for one in seed]
        self.last = np.array([self.length + one % 3 for one in seed])
        self.elapsed = np.zeros(self.num_envs, dtype=int)
        return self._show(), {}

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        reward = (actions == (self.shown[:, 0] > 0)).astype(float)
        self.elapsed += 1
        done = self.elapsed >= self.last
        self.elapsed[done] = 0
        seen = self._show()  # once, so that a row's numbers do not depend on when others end
        info = {"final_obs": seen.copy(), "_final_obs": done} if done.any() else {}
        return seen, reward, done, np.zeros_like(done), info

    def _show(self) -> np.ndarray:
        self.shown = np.stack([rng.normal(size=self.features) for rng in self.generators]).astype(np.float32)
        return self.shown


def policy(seed: int = 0, features: int = 3, hidden: tuple[int, ...] = (5, 4), critic: str = "separate") -> ActorCritic:
    """A random policy for `Guess`, its read-out large enough that units matter."""
    torch.manual_seed(seed)
    model = ActorCritic(ActorCriticConfig(observation=(features,), hidden=hidden, critic=critic))
    torch.nn.init.normal_(model.actor.readout.weight)
    return model.eval()


def first_number_policy() -> ActorCritic:
    """The policy that wins `Guess`: one unit reads the first number, and it alone decides."""
    model = policy(hidden=(4,))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.actor.blocks[0].linear.weight[2, 0] = 1.0
        model.actor.readout.weight[1, 2] = 1.0
    return model
