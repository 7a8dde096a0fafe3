"""Environments whose rows all step at once, and the single environment made of one row."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from workbench.core.errors import InputError


class VectorRows(VectorEnv):
    """`num_envs` copies of an environment, with autoreset in the step that ends an episode."""

    metadata: dict[str, Any] = {"render_modes": [], "autoreset_mode": AutoresetMode.SAME_STEP}  # noqa: RUF012  (gymnasium's)

    def __init__(
        self, name: str, observation: spaces.Box, n_actions: int, num_envs: int, max_episode_steps: int
    ) -> None:
        self.name, self.n_actions, self.num_envs, self.max_episode_steps = name, n_actions, num_envs, max_episode_steps
        self.single_observation_space, self.single_action_space = observation, spaces.Discrete(n_actions)
        self.observation_space = batch_space(observation, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.elapsed = np.zeros(num_envs, dtype=np.int64)

    @abstractmethod
    def advance(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Step all rows and return their rewards and which of them terminated."""

    @abstractmethod
    def begin(self, rows: np.ndarray) -> None:
        """Start a new episode in the rows that are marked."""

    @abstractmethod
    def observe(self) -> np.ndarray:
        """Return the observations."""

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Step all rows; `final_obs` of the info holds the last observations of ended episodes."""
        actions = np.asarray(actions)
        if actions.shape != (self.num_envs,) or actions.min() < 0 or actions.max() >= self.n_actions:
            raise InputError(
                f"{self.name} expects {self.num_envs} actions of 0 to {self.n_actions - 1}, got {actions!r}."
            )
        reward, terminated = self.advance(actions)
        self.elapsed += 1
        truncated, info = self.elapsed >= self.max_episode_steps, {}
        done = terminated | truncated
        if done.any():
            info = {"final_obs": self.observe(), "_final_obs": done}
            self.restart(done)
        return self.observe(), reward, terminated, truncated, info

    def restart(self, rows: np.ndarray) -> None:
        """Start a new episode in the rows that are marked."""
        self.begin(rows)
        self.elapsed[rows] = 0

    def restart_all(self) -> np.ndarray:
        """Start a new episode in every row and return the observations."""
        self.restart(np.ones(self.num_envs, dtype=bool))
        return self.observe()

    def seeds(self, seed: int | list[int]) -> list[int]:
        """Return the seed of each row: `seed` + r of row r, or its own from a list."""
        return [seed + row for row in range(self.num_envs)] if isinstance(seed, int) else seed


class SingleRow(gymnasium.Env):
    """Single environment with rendering; its rules are those of its one row.

    The time limit is applied by the wrapper that `gymnasium.make` adds, so the row should have none.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 8}  # noqa: RUF012  (gymnasium's)

    def __init__(self, rows: VectorRows, draw: Callable[[np.ndarray], np.ndarray], render_mode: str | None) -> None:
        self.rows, self.draw, self.render_mode = rows, draw, render_mode
        self.observation_space, self.action_space = rows.single_observation_space, rows.single_action_space
        self.shown = np.zeros(self.observation_space.shape or ())

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start a new episode."""
        super().reset(seed=seed)
        self.shown = self.rows.reset(seed=seed)[0][0]
        return self.shown, {}

    def step(self, action: int | np.integer) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Step the row."""
        shown, reward, terminated, _, info = self.rows.step(np.array([action]))
        self.shown = info["final_obs"][0] if terminated[0] else shown[0]
        return self.shown, float(reward[0]), bool(terminated[0]), False, {}

    def render(self) -> np.ndarray:
        """Render the last observation."""
        return self.draw(self.shown)
