"""Vectorised classic control: the dynamics of gymnasium, with one NumPy expression for all rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from workbench.core.errors import InputError
from workbench.data.environments.random_state import generator_from_words, generator_words


@dataclass(frozen=True)
class Rules:
    """Rules of one task. A state has shape (quantity, env)."""

    name: str
    observation: spaces.Box
    n_actions: int
    max_steps: int
    """Time limit in steps."""
    start: Callable[[np.random.Generator, int], np.ndarray]
    """Draws the given number of initial states."""
    advance: Callable[[np.ndarray, np.ndarray], np.ndarray]
    """Computes the states after one step from states and actions."""
    is_terminal: Callable[[np.ndarray], np.ndarray]
    """Returns whether states are terminal."""
    observe: Callable[[np.ndarray], np.ndarray]
    """Computes observations (env, feature) from states."""
    reward: Callable[[np.ndarray], np.ndarray]
    """Computes the rewards of a step from whether it ended the episode."""


class VectorControl(VectorEnv):
    """`num_envs` copies of a task, with autoreset in the step that ends an episode."""

    metadata: dict[str, Any] = {"render_modes": [], "autoreset_mode": AutoresetMode.SAME_STEP}  # noqa: RUF012  (gymnasium's)

    def __init__(self, rules: Rules, num_envs: int = 1, max_episode_steps: int | None = None) -> None:
        self.rules, self.num_envs = rules, num_envs
        self.max_episode_steps = rules.max_steps if max_episode_steps is None else max_episode_steps
        self.single_observation_space, self.single_action_space = rules.observation, spaces.Discrete(rules.n_actions)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.state = rules.start(np.random.default_rng(0), num_envs)
        self.elapsed = np.zeros(num_envs, dtype=np.int64)

    def reset(
        self, *, seed: int | list[int] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start a new episode in every row. With a list of seeds, rows start as gymnasium's single environments do."""
        super().reset(seed=seed[0] if isinstance(seed, list) else seed)
        self._restart(np.ones(self.num_envs, dtype=bool))
        if isinstance(seed, list):
            starts = {one: self.rules.start(np.random.default_rng(one), 1)[:, 0] for one in set(seed)}
            self.state = np.stack([starts[one] for one in seed], axis=1)
        return self.rules.observe(self.state), {}

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Step all rows; `final_obs` of the info holds the last observations of ended episodes."""
        self.state = self.rules.advance(self.state, self._check(actions))
        self.elapsed += 1
        terminated = self.rules.is_terminal(self.state)
        truncated = self.elapsed >= self.max_episode_steps
        reward, done, info = self.rules.reward(terminated), terminated | truncated, {}
        if done.any():
            info = {"final_obs": self.rules.observe(self.state), "_final_obs": done}
            self._restart(done)
        return self.rules.observe(self.state), reward, terminated, truncated, info

    def get_state(self) -> dict[str, np.ndarray]:
        """Return everything that determines the future, given the actions."""
        return {"state": self.state.copy(), "elapsed": self.elapsed.copy(), "random": generator_words(self.np_random)}

    def set_state(self, state: dict[str, np.ndarray]) -> np.ndarray:
        """Restore a state of `get_state` and return its observations."""
        self.state, self.elapsed = state["state"].copy(), state["elapsed"].copy()
        self.np_random = generator_from_words(state["random"])
        return self.rules.observe(self.state)

    def _check(self, actions: np.ndarray) -> np.ndarray:
        actions, n = np.asarray(actions), self.rules.n_actions
        if actions.shape != (self.num_envs,) or actions.min() < 0 or actions.max() >= n:
            raise InputError(f"{self.rules.name} expects {self.num_envs} actions of 0 to {n - 1}, got {actions!r}.")
        return actions

    def _restart(self, rows: np.ndarray) -> None:
        self.state[:, rows] = self.rules.start(self.np_random, int(rows.sum()))
        self.elapsed[rows] = 0
