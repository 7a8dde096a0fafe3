"""CartPole-v1 with all rows stepped at once: gymnasium's dynamics, one NumPy expression per quantity."""

import math
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from workbench.core.errors import InputError
from workbench.data.environments.random_state import generator_from_words, generator_words

GRAVITY = 9.8  # m/s^2
POLE_MASS, TOTAL_MASS = 0.1, 1.1  # kg
HALF_LENGTH = 0.5  # m
FORCE = 10.0  # N
SECONDS_PER_STEP = 0.02
POSITION_LIMIT = 2.4  # m
ANGLE_LIMIT = 12 * 2 * math.pi / 360  # rad
START = 0.05  # each quantity starts uniformly within this of zero


class VectorCartPole(VectorEnv):
    """A pole on a cart, `num_envs` times: action 0 pushes left, 1 right; every step is worth 1.

    Observations are position (m), velocity (m/s), angle (rad) and angular velocity (rad/s).
    """

    metadata: dict[str, Any] = {"render_modes": [], "autoreset_mode": AutoresetMode.SAME_STEP}  # noqa: RUF012  (gymnasium's)

    def __init__(self, num_envs: int = 1, max_episode_steps: int = 500) -> None:
        self.num_envs, self.max_episode_steps = num_envs, max_episode_steps
        high = np.array([2 * POSITION_LIMIT, np.inf, 2 * ANGLE_LIMIT, np.inf], dtype=np.float32)
        self.single_observation_space = spaces.Box(-high, high, dtype=np.float32)
        self.single_action_space = spaces.Discrete(2)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.state = np.zeros((4, num_envs))
        self.elapsed = np.zeros(num_envs, dtype=np.int64)

    def reset(
        self, *, seed: int | list[int] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """First observations of a new episode in every row; with a list, row by row those of gymnasium's own."""
        super().reset(seed=seed[0] if isinstance(seed, list) else seed)
        self._restart(np.ones(self.num_envs, dtype=bool))
        if isinstance(seed, list):
            starts = {one: np.random.default_rng(one).uniform(-START, START, size=4) for one in set(seed)}
            self.state = np.stack([starts[one] for one in seed], axis=1)
        return self._observation(), {}

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Observations, rewards, terminations, truncations, and each ended episode's own last observation."""
        self.state = accelerate(self.state, self._force(actions))
        self.elapsed += 1
        position, _, angle, _ = np.abs(self.state)
        terminated = (position > POSITION_LIMIT) | (angle > ANGLE_LIMIT)
        truncated = self.elapsed >= self.max_episode_steps
        info = {}
        done = terminated | truncated
        if done.any():
            info = {"final_obs": self._observation(), "_final_obs": done}
            self._restart(done)
        return self._observation(), np.ones(self.num_envs), terminated, truncated, info

    def get_state(self) -> dict[str, np.ndarray]:
        """Everything the future depends on but the actions."""
        return {"state": self.state.copy(), "elapsed": self.elapsed.copy(), "random": generator_words(self.np_random)}

    def set_state(self, state: dict[str, np.ndarray]) -> np.ndarray:
        """Goes back to what `get_state` saw, and observes it."""
        self.state, self.elapsed = state["state"].copy(), state["elapsed"].copy()
        self.np_random = generator_from_words(state["random"])
        return self._observation()

    def _force(self, actions: np.ndarray) -> np.ndarray:
        actions = np.asarray(actions)
        if actions.shape != (self.num_envs,) or actions.min() < 0 or actions.max() > 1:
            raise InputError(f"CartPole takes {self.num_envs} actions of 0 or 1, not {actions!r}.")
        return np.where(actions == 1, FORCE, -FORCE)

    def _restart(self, rows: np.ndarray) -> None:
        # Row by row, so that a row's first episode is the same among few rows and among many.
        self.state[:, rows] = self.np_random.uniform(-START, START, size=(int(rows.sum()), 4)).T
        self.elapsed[rows] = 0

    def _observation(self) -> np.ndarray:
        return self.state.T.astype(np.float32)


def accelerate(state: np.ndarray, force: np.ndarray) -> np.ndarray:
    """The state one step later (Barto, Sutton and Anderson 1983; corrected equations of Florian 2007), by Euler."""
    _, velocity, angle, spin = state
    cos, sin = np.cos(angle), np.sin(angle)
    push = (force + POLE_MASS * HALF_LENGTH * np.square(spin) * sin) / TOTAL_MASS
    turn = (GRAVITY * sin - cos * push) / (HALF_LENGTH * (4.0 / 3.0 - POLE_MASS * np.square(cos) / TOTAL_MASS))
    pull = push - POLE_MASS * HALF_LENGTH * turn * cos / TOTAL_MASS
    return state + SECONDS_PER_STEP * np.stack([velocity, pull, spin, turn])
