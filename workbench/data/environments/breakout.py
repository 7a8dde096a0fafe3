"""MinAtar's Breakout (Young and Tian 2019): a paddle keeps a ball in play that breaks three rows of bricks, on 10x10.

The rules are those of the package MinAtar. Two things are random: the ball starts on the left or on the right, and
every step repeats the last action with probability 0.1 (sticky actions). MinAtar has no time limit; ours is 1000 steps.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from torch import Tensor

from workbench.core.errors import InputError

PADDLE, BALL, TRAIL, BRICK = range(4)
"""Channels of an observation: the paddle, the ball, the ball one step ago, and the bricks."""
SIDE = 10
STICKY = 0.1
ACTIONS = (0, 1, 3)  # MinAtar's numbers of stay, left and right; its other three have no effect here
MOVES = np.array([[0, 0], [0, -1], [0, 1]])
PIXELS = 24  # per square
GROUND = (30, 34, 42)
COLOURS = {BRICK: (0, 158, 115), TRAIL: (120, 96, 70), BALL: (230, 159, 0), PADDLE: (86, 180, 233)}


def new_game() -> Any:
    """Create a game of the package MinAtar."""
    try:
        from minatar import Environment
    except ModuleNotFoundError as missing:
        raise gymnasium.error.DependencyNotInstalled("MinAtar is not installed") from missing
    return Environment("breakout", sticky_action_prob=STICKY)


class VectorBreakout(VectorEnv):
    """`num_envs` games. Every brick is worth 1; the episode ends when the ball reaches the ground.

    Actions are stay, left and right. Observations are (channel, row, column), see `PADDLE`. Every row has a generator
    of its own, so its episodes depend only on its seed.
    """

    metadata: dict[str, Any] = {"render_modes": [], "autoreset_mode": AutoresetMode.SAME_STEP}  # noqa: RUF012  (gymnasium's)

    def __init__(self, num_envs: int = 1, max_episode_steps: int = 1000) -> None:
        self.num_envs, self.max_episode_steps = num_envs, max_episode_steps
        self.single_observation_space = spaces.Box(0, 1, (4, SIDE, SIDE), dtype=np.float32)
        self.single_action_space = spaces.Discrete(len(ACTIONS))
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.games = [new_game() for _ in range(num_envs)]
        self.elapsed = np.zeros(num_envs, dtype=np.int64)

    @property
    def rules(self) -> type:
        """MinAtar's class that defines the rules."""
        return type(self.games[0].env)

    def reset(
        self, *, seed: int | list[int] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start a new game in every row. Row r is seeded with `seed` + r, or with its own seed from a list."""
        if seed is not None:
            seeds = [seed + row for row in range(self.num_envs)] if isinstance(seed, int) else seed
            for game, one in zip(self.games, seeds, strict=True):
                game.seed(one)
        self._restart(np.arange(self.num_envs))
        return self._observation(), {}

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Step all rows; `final_obs` of the info holds the last observations of ended episodes."""
        actions = np.asarray(actions)
        if actions.shape != (self.num_envs,) or actions.min() < 0 or actions.max() >= len(ACTIONS):
            raise InputError(f"Breakout expects {self.num_envs} actions of 0 to {len(ACTIONS) - 1}, got {actions!r}.")
        results = [game.act(ACTIONS[action]) for game, action in zip(self.games, actions.tolist(), strict=True)]
        reward = np.array([gained for gained, _ in results], dtype=np.float64)
        terminated = np.array([over for _, over in results], dtype=bool)
        self.elapsed += 1
        truncated, info = self.elapsed >= self.max_episode_steps, {}
        done = terminated | truncated
        if done.any():
            info = {"final_obs": self._observation(), "_final_obs": done}
            self._restart(done.nonzero()[0])
        return self._observation(), reward, terminated, truncated, info

    @property
    def moves(self) -> np.ndarray:
        """Change of the paddle's (row, column) by each action, away from the walls."""
        return MOVES

    def everywhere(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Return the observation with the paddle at every possible place, and the places (row, column)."""
        places = torch.tensor([(SIDE - 1, column) for column in range(SIDE)])
        seen = observation.expand(SIDE, *observation.shape).clone()
        seen[:, PADDLE] = 0
        seen[torch.arange(SIDE), PADDLE, places[:, 0], places[:, 1]] = 1
        return seen, places

    def _restart(self, rows: np.ndarray) -> None:
        for row in rows:
            self.games[row].reset()
            self.games[row].last_action = 0  # else a sticky action may repeat one of the previous episode
        self.elapsed[rows] = 0

    def _observation(self) -> np.ndarray:
        boards = np.stack([game.state() for game in self.games])
        return np.moveaxis(boards, -1, 1).astype(np.float32, order="C")


class Breakout(gymnasium.Env):
    """Single game with rendering; its rules are those of `VectorBreakout`."""

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 8}  # noqa: RUF012  (gymnasium's)

    def __init__(self, render_mode: str | None = None) -> None:
        # The time limit is applied by the wrapper that gymnasium.make adds.
        self.rows = VectorBreakout(1, max_episode_steps=2**31)
        self.observation_space, self.action_space = self.rows.single_observation_space, self.rows.single_action_space
        self.render_mode = render_mode
        self.shown = np.zeros(self.observation_space.shape or ())

    @property
    def rules(self) -> type:
        """MinAtar's class that defines the rules."""
        return self.rows.rules

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start a new game."""
        super().reset(seed=seed)
        self.shown = self.rows.reset(seed=seed)[0][0]
        return self.shown, {}

    def step(self, action: int | np.integer) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Move the paddle and the ball."""
        shown, reward, terminated, _, info = self.rows.step(np.array([action]))
        self.shown = info["final_obs"][0] if terminated[0] else shown[0]
        return self.shown, float(reward[0]), bool(terminated[0]), False, {}

    def render(self) -> np.ndarray:
        """Render the board: bricks green, ball yellow with a dim trail, paddle blue."""
        return draw(self.shown)


def draw(observation: np.ndarray) -> np.ndarray:
    """Render an observation as bytes (height, width, colour). Values between 0 and 1 mix colours."""
    share = np.clip(observation, 0, 1)[..., None]
    picture = np.broadcast_to(np.array(GROUND, dtype=float), (*observation.shape[1:], 3))
    for channel, colour in COLOURS.items():
        picture = share[channel] * np.array(colour) + (1 - share[channel]) * picture
    return picture.round().astype(np.uint8).repeat(PIXELS, axis=0).repeat(PIXELS, axis=1)
