"""Tabular environments, vectorised, and their transition tables for exact solutions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from jaxtyping import Float
from torch import Tensor

from workbench.core.errors import ConfigError, InputError


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


class VectorTable(VectorEnv):
    """`num_envs` copies of a tabular environment with one-hot observations.

    Rows with equal seeds draw equal random numbers in every step.
    """

    metadata: dict[str, Any] = {"render_modes": [], "autoreset_mode": AutoresetMode.SAME_STEP}  # noqa: RUF012  (gymnasium's)

    def __init__(self, name: str, num_envs: int = 1, max_episode_steps: int = 2**31) -> None:
        branches, n_actions, start = table_of(name)
        self.num_envs, self.max_episode_steps = num_envs, max_episode_steps
        self.n_states = len(start)
        shape = (self.n_states, n_actions, max(map(len, branches.values())))
        self.likely, self.reward = np.zeros((2, *shape))
        self.following, self.ends = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=bool)
        for (state, action), outcomes in branches.items():
            for i, (probability, following, gained, ends) in enumerate(outcomes):
                place = state, action, i
                self.likely[place], self.reward[place] = probability, gained
                self.following[place], self.ends[place] = following, ends
        self.cumulated, self.start = self.likely.cumsum(axis=2), start.cumsum()
        self.single_observation_space = spaces.Box(0, 1, (self.n_states,), dtype=np.float32)
        self.single_action_space = spaces.Discrete(n_actions)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.state, self.elapsed = np.zeros((2, num_envs), dtype=np.int64)
        self.stream = np.arange(num_envs)

    def reset(
        self, *, seed: int | list[int] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start a new episode in every row. With a list of seeds, rows with equal seeds have equal episodes."""
        several = isinstance(seed, list)
        super().reset(seed=seed[0] if isinstance(seed, list) else seed)
        self.stream = np.unique(seed, return_inverse=True)[1] if several else np.arange(self.num_envs)
        self._restart(np.ones(self.num_envs, dtype=bool))
        return self._observation(), {}

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Step all rows; `final_obs` of the info holds the last observations of ended episodes."""
        actions = np.asarray(actions)
        n_actions = self.reward.shape[1]
        if actions.shape != (self.num_envs,) or actions.min() < 0 or actions.max() >= n_actions:
            raise InputError(f"Expected {self.num_envs} actions of 0 to {n_actions - 1}, got {actions!r}.")
        drawn = self.cumulated[self.state, actions] <= self._uniform()[:, None]
        place = self.state, actions, drawn.sum(axis=1).clip(max=self.reward.shape[2] - 1)
        self.state, reward, terminated = self.following[place], self.reward[place], self.ends[place]
        self.elapsed += 1
        truncated = self.elapsed >= self.max_episode_steps
        info = {}
        done = terminated | truncated
        if done.any():
            info = {"final_obs": self._observation(), "_final_obs": done}
            self._restart(done)
        return self._observation(), reward, terminated, truncated, info

    def _uniform(self) -> np.ndarray:
        """Draw one number in [0, 1) per row; rows of one stream get equal ones."""
        return self.np_random.random(self.stream.max() + 1)[self.stream]

    def _restart(self, rows: np.ndarray) -> None:
        fresh = np.searchsorted(self.start, self._uniform(), side="right").clip(max=self.n_states - 1)
        self.state = np.where(rows, fresh, self.state)
        self.elapsed[rows] = 0

    def _observation(self) -> np.ndarray:
        return np.eye(self.n_states, dtype=np.float32)[self.state]
