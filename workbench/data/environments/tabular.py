"""Tabular environments, vectorised, and their transition tables for exact solutions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from jaxtyping import Float
from torch import Tensor

from workbench.core.errors import ConfigError
from workbench.data.environments.rows import VectorRows


@dataclass(frozen=True)
class TabularMDP:
    """Finite Markov decision process."""

    transition: Float[Tensor, "state action next_state"]
    """Probability of the next state without termination; rows sum to 1 minus the probability of termination."""
    reward: Float[Tensor, "state action"]
    """Expected reward."""
    start: Float[Tensor, " state"]
    """Probability of each initial state."""


def read_mdp(name: str) -> TabularMDP:
    """Read the transition table of a gymnasium environment that has `P`, such as FrozenLake-v1."""
    branches, n_actions, start = table_of(name)
    transition = torch.zeros(len(start), n_actions, len(start), dtype=torch.float64)
    reward = torch.zeros(len(start), n_actions, dtype=torch.float64)
    for (state, action), outcomes in branches.items():
        for probability, following, gained, ends in outcomes:
            reward[state, action] += probability * gained
            transition[state, action, following] += probability * (not ends)
    return TabularMDP(transition, reward, torch.from_numpy(start))


def table_of(name: str) -> tuple[dict[tuple[int, int], list[Any]], int, np.ndarray]:
    """Return the outcomes of each (state, action), the number of actions, and the initial state distribution."""
    env: Any = gymnasium.make(name).unwrapped
    if not hasattr(env, "P") or not hasattr(env, "initial_state_distrib"):
        raise ConfigError(f"{name} has no transition table P. Use FrozenLake-v1, Taxi-v4 or CliffWalking-v1.")
    branches = {(s, a): outcomes for s, actions in env.P.items() for a, outcomes in actions.items()}
    return branches, int(env.action_space.n), np.asarray(env.initial_state_distrib, dtype=np.float64)


class VectorTable(VectorRows):
    """`num_envs` copies of a tabular environment with one-hot observations.

    Rows with equal seeds draw equal random numbers in every step.
    """

    def __init__(self, name: str, num_envs: int = 1, max_episode_steps: int = 2**31) -> None:
        branches, n_actions, start = table_of(name)
        self.n_states = len(start)
        observation = spaces.Box(0, 1, (self.n_states,), dtype=np.float32)
        super().__init__(name, observation, n_actions, num_envs, max_episode_steps)
        shape = (self.n_states, n_actions, max(map(len, branches.values())))
        self.likely, self.reward = np.zeros((2, *shape))
        self.following, self.ends = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=bool)
        for (state, action), outcomes in branches.items():
            for i, (probability, following, gained, ends) in enumerate(outcomes):
                place = state, action, i
                self.likely[place], self.reward[place] = probability, gained
                self.following[place], self.ends[place] = following, ends
        self.cumulated, self.start = self.likely.cumsum(axis=2), start.cumsum()
        self.state = np.zeros(num_envs, dtype=np.int64)
        self.stream = np.arange(num_envs)

    def reset(
        self, *, seed: int | list[int] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start a new episode in every row. With a list of seeds, rows with equal seeds have equal episodes."""
        several = isinstance(seed, list)
        super().reset(seed=seed[0] if isinstance(seed, list) else seed)
        self.stream = np.unique(seed, return_inverse=True)[1] if several else np.arange(self.num_envs)
        return self.restart_all(), {}

    def advance(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        drawn = self.cumulated[self.state, actions] <= self._uniform()[:, None]
        place = self.state, actions, drawn.sum(axis=1).clip(max=self.reward.shape[2] - 1)
        self.state, reward, terminated = self.following[place], self.reward[place], self.ends[place]
        return reward, terminated

    def _uniform(self) -> np.ndarray:
        """Draw one number in [0, 1) per row; rows of one stream get equal ones."""
        return self.np_random.random(self.stream.max() + 1)[self.stream]

    def begin(self, rows: np.ndarray) -> None:
        fresh = np.searchsorted(self.start, self._uniform(), side="right").clip(max=self.n_states - 1)
        self.state = np.where(rows, fresh, self.state)

    def observe(self) -> np.ndarray:
        return np.eye(self.n_states, dtype=np.float32)[self.state]
