"""Classic control with all rows stepped at once: gymnasium's dynamics, one NumPy expression per quantity."""

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
    """What tells one task from another. A state is (quantity, env): a column for each environment.

    `start` draws so many first states; `after` is the state one step later, given an action for each; `ended` says
    which are terminal, `observed` what is seen of each (env, feature), `reward` what a step is worth that ended there
    or did not. An episode is cut off after `max_steps`.
    """

    name: str
    observation: spaces.Box
    n_actions: int
    max_steps: int
    start: Callable[[np.random.Generator, int], np.ndarray]
    after: Callable[[np.ndarray, np.ndarray], np.ndarray]
    ended: Callable[[np.ndarray], np.ndarray]
    observed: Callable[[np.ndarray], np.ndarray]
    reward: Callable[[np.ndarray], np.ndarray]


class VectorControl(VectorEnv):
    """`num_envs` copies of a task, each reset in the very step that ends its episode."""

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
        """First observations of a new episode in every row; with a list, row by row those of gymnasium's own."""
        super().reset(seed=seed[0] if isinstance(seed, list) else seed)
        self._restart(np.ones(self.num_envs, dtype=bool))
        if isinstance(seed, list):
            starts = {one: self.rules.start(np.random.default_rng(one), 1)[:, 0] for one in set(seed)}
            self.state = np.stack([starts[one] for one in seed], axis=1)
        return self.rules.observed(self.state), {}

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Observations, rewards, terminations, truncations, and each ended episode's own last observation."""
        self.state = self.rules.after(self.state, self._checked(actions))
        self.elapsed += 1
        terminated = self.rules.ended(self.state)
        truncated = self.elapsed >= self.max_episode_steps
        reward, done, info = self.rules.reward(terminated), terminated | truncated, {}
        if done.any():
            info = {"final_obs": self.rules.observed(self.state), "_final_obs": done}
            self._restart(done)
        return self.rules.observed(self.state), reward, terminated, truncated, info

    def get_state(self) -> dict[str, np.ndarray]:
        """Everything the future depends on but the actions."""
        return {"state": self.state.copy(), "elapsed": self.elapsed.copy(), "random": generator_words(self.np_random)}

    def set_state(self, state: dict[str, np.ndarray]) -> np.ndarray:
        """Goes back to what `get_state` saw, and observes it."""
        self.state, self.elapsed = state["state"].copy(), state["elapsed"].copy()
        self.np_random = generator_from_words(state["random"])
        return self.rules.observed(self.state)

    def _checked(self, actions: np.ndarray) -> np.ndarray:
        actions, n = np.asarray(actions), self.rules.n_actions
        if actions.shape != (self.num_envs,) or actions.min() < 0 or actions.max() >= n:
            raise InputError(f"{self.rules.name} takes {self.num_envs} actions of 0 to {n - 1}, not {actions!r}.")
        return actions

    def _restart(self, rows: np.ndarray) -> None:
        self.state[:, rows] = self.rules.start(self.np_random, int(rows.sum()))
        self.elapsed[rows] = 0
