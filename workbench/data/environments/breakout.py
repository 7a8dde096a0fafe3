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
from torch import Tensor

from workbench.data.environments.rows import SingleRow, VectorRows

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


class VectorBreakout(VectorRows):
    """`num_envs` games. Every brick is worth 1; the episode ends when the ball reaches the ground.

    Actions are stay, left and right. Observations are (channel, row, column), see `PADDLE`. Every row has a generator
    of its own, so its episodes depend only on its seed.
    """

    def __init__(self, num_envs: int = 1, max_episode_steps: int = 1000) -> None:
        observation = spaces.Box(0, 1, (4, SIDE, SIDE), dtype=np.float32)
        super().__init__("Breakout", observation, len(ACTIONS), num_envs, max_episode_steps)
        self.games = [new_game() for _ in range(num_envs)]

    @property
    def rules(self) -> type:
        """MinAtar's class that defines the rules."""
        return type(self.games[0].env)

    def reset(
        self, *, seed: int | list[int] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start a new game in every row. Row r is seeded with `seed` + r, or with its own seed from a list."""
        if seed is not None:
            for game, one in zip(self.games, self.seeds(seed), strict=True):
                game.seed(one)
        return self.restart_all(), {}

    def advance(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        results = [game.act(ACTIONS[action]) for game, action in zip(self.games, actions.tolist(), strict=True)]
        reward, terminated = (np.array(column) for column in zip(*results, strict=True))
        return reward.astype(np.float64), terminated.astype(bool)

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

    def begin(self, rows: np.ndarray) -> None:
        for row in rows.nonzero()[0]:
            self.games[row].reset()
            self.games[row].last_action = 0  # else a sticky action may repeat one of the previous episode

    def observe(self) -> np.ndarray:
        boards = np.stack([game.state() for game in self.games])
        return np.moveaxis(boards, -1, 1).astype(np.float32, order="C")


class Breakout(SingleRow):
    """Single game, rendered with green bricks, a yellow ball with a dim trail, and a blue paddle."""

    def __init__(self, render_mode: str | None = None) -> None:
        rows = VectorBreakout(1, max_episode_steps=2**31)
        super().__init__(rows, draw, render_mode)
        self.rules = rows.rules


def draw(observation: np.ndarray) -> np.ndarray:
    """Render an observation as bytes (height, width, colour). Values between 0 and 1 mix colours."""
    share = np.clip(observation, 0, 1)[..., None]
    picture = np.broadcast_to(np.array(GROUND, dtype=float), (*observation.shape[1:], 3))
    for channel, colour in COLOURS.items():
        picture = share[channel] * np.array(colour) + (1 - share[channel]) * picture
    return picture.round().astype(np.uint8).repeat(PIXELS, axis=0).repeat(PIXELS, axis=1)
