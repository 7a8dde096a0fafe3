"""Vectorised classic control: the dynamics of gymnasium, with one NumPy expression for all rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces

from workbench.data.environments.random_state import generator_from_words, generator_words
from workbench.data.environments.rows import VectorRows


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


class VectorControl(VectorRows):
    """`num_envs` copies of a task."""

    def __init__(self, rules: Rules, num_envs: int = 1, max_episode_steps: int | None = None) -> None:
        most = rules.max_steps if max_episode_steps is None else max_episode_steps
        super().__init__(rules.name, rules.observation, rules.n_actions, num_envs, most)
        self.rules, self.state = rules, rules.start(np.random.default_rng(0), num_envs)

    def reset(
        self, *, seed: int | list[int] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start a new episode in every row. With a list of seeds, rows start as gymnasium's single environments do."""
        super().reset(seed=seed[0] if isinstance(seed, list) else seed)
        self.restart_all()
        if isinstance(seed, list):
            starts = {one: self.rules.start(np.random.default_rng(one), 1)[:, 0] for one in set(seed)}
            self.state = np.stack([starts[one] for one in seed], axis=1)
        return self.observe(), {}

    def advance(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.state = self.rules.advance(self.state, actions)
        terminated = self.rules.is_terminal(self.state)
        return self.rules.reward(terminated), terminated

    def begin(self, rows: np.ndarray) -> None:
        self.state[:, rows] = self.rules.start(self.np_random, int(rows.sum()))

    def observe(self) -> np.ndarray:
        return self.rules.observe(self.state)

    def get_state(self) -> dict[str, np.ndarray]:
        """Return everything that determines the future, given the actions."""
        return {"state": self.state.copy(), "elapsed": self.elapsed.copy(), "random": generator_words(self.np_random)}

    def set_state(self, state: dict[str, np.ndarray]) -> np.ndarray:
        """Restore a state of `get_state` and return its observations."""
        self.state, self.elapsed = state["state"].copy(), state["elapsed"].copy()
        self.np_random = generator_from_words(state["random"])
        return self.observe()
