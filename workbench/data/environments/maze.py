"""A maze whose goal is in one corner during training and anywhere afterwards (after Langosco et al. 2022)."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from workbench.data.environments.maze_layouts import MOVES, random_maze
from workbench.data.environments.random_state import generator_from_words, generator_words
from workbench.data.environments.rows import SingleRow, VectorRows

OPEN, AGENT, GOAL = range(3)
"""Channels of an observation: open squares, the agent, and the goal."""
CORNER = 3
"""Side in squares of the goal's region at the top right."""
PIXELS = 24  # per square
WALL, FLOOR, MOUSE, CHEESE = (60, 60, 60), (245, 245, 245), (0, 114, 178), (230, 159, 0)
Where = Literal["corner", "anywhere"]


class VectorMaze(VectorRows):
    """`num_envs` mazes, a new random one for every episode. Reaching the goal is worth 1 and ends the episode.

    Actions are up, right, down and left; a move into a wall has no effect. Observations are (channel, row, column), see
    `OPEN`. Every row has a generator of its own, so its episodes depend only on its seed.
    """

    def __init__(self, num_envs: int = 1, goal: Where = "corner", cells: int = 4, max_episode_steps: int = 100) -> None:
        self.goal_lies, self.cells, self.side = goal, cells, 2 * cells - 1
        observation = spaces.Box(0, 1, (3, self.side, self.side), dtype=np.float32)
        super().__init__("Maze", observation, len(MOVES), num_envs, max_episode_steps)
        self.is_open = np.zeros((num_envs, self.side, self.side), dtype=bool)
        self.agent, self.goal = np.zeros((2, num_envs, 2), dtype=np.int64)
        self.generators = [np.random.default_rng() for _ in range(num_envs)]

    def reset(
        self, *, seed: int | list[int] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start a new maze in every row. Row r is seeded with `seed` + r, or with its own seed from a list."""
        if seed is not None:
            self.generators = [np.random.default_rng(one) for one in self.seeds(seed)]
        return self.restart_all(), {}

    def advance(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.agent = move(self.is_open, self.agent, actions)
        terminated = (self.agent == self.goal).all(axis=1)
        return terminated.astype(np.float64), terminated

    def get_state(self) -> dict[str, np.ndarray]:
        """Return everything that determines the future, given the actions."""
        own = {name: getattr(self, name).copy() for name in ("is_open", "agent", "goal", "elapsed")}
        return own | {"random": np.stack([generator_words(rng) for rng in self.generators])}

    def set_state(self, state: dict[str, np.ndarray]) -> np.ndarray:
        """Restore a state of `get_state` and return its observations."""
        for name in ("is_open", "agent", "goal", "elapsed"):
            setattr(self, name, state[name].copy())
        self.generators = [generator_from_words(words) for words in state["random"]]
        return self.observe()

    @property
    def moves(self) -> np.ndarray:
        """Change of (row, column) by each action, without walls."""
        return MOVES

    def everywhere(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Return the observation with the agent on every open square, and the squares (row, column)."""
        places = observation[OPEN].nonzero()
        seen = observation.expand(len(places), *observation.shape).clone()
        seen[:, AGENT] = 0
        seen[torch.arange(len(places)), AGENT, places[:, 0], places[:, 1]] = 1
        return seen, places

    def begin(self, rows: np.ndarray) -> None:
        for row in rows.nonzero()[0]:
            self.is_open[row], self.agent[row], self.goal[row] = new_episode(
                self.generators[row], self.goal_lies, self.cells
            )

    def observe(self) -> np.ndarray:
        return observe(self.is_open, self.agent, self.goal)


def new_episode(rng: np.random.Generator, goal_lies: Where, cells: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw a random maze, a start and a goal."""
    is_open = random_maze(rng, cells)
    places = np.argwhere(is_open)
    goals = places if goal_lies == "anywhere" else places[in_corner(places, len(is_open))]
    goal = goals[rng.integers(len(goals))]
    starts = places[(places != goal).any(axis=1)]
    return is_open, starts[rng.integers(len(starts))], goal


def in_corner(place: np.ndarray, side: int) -> np.ndarray | np.bool_:
    """Return whether places (..., 2) are in the goal's region of a maze with the given side."""
    return (place[..., 0] < CORNER) & (place[..., 1] >= side - CORNER)


def move(is_open: np.ndarray, agent: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """Move agents (row, 2); walls and edges block a move."""
    target = agent + MOVES[actions]
    inside = ((target >= 0) & (target < is_open.shape[1])).all(axis=1)
    safe = np.where(inside[:, None], target, agent)
    free = inside & is_open[np.arange(len(agent)), safe[:, 0], safe[:, 1]]
    return np.where(free[:, None], target, agent)


def observe(is_open: np.ndarray, agent: np.ndarray, goal: np.ndarray) -> np.ndarray:
    """Return observations (row, channel, height, width) of mazes, agents and goals."""
    shown, rows = np.zeros((len(is_open), 3, *is_open.shape[1:]), dtype=np.float32), np.arange(len(is_open))
    shown[:, OPEN] = is_open
    shown[rows, AGENT, agent[:, 0], agent[:, 1]] = 1
    shown[rows, GOAL, goal[:, 0], goal[:, 1]] = 1
    return shown


class Maze(SingleRow):
    """Single maze, rendered with dark walls, the agent blue and the goal yellow."""

    def __init__(self, goal: Where = "corner", cells: int = 4, render_mode: str | None = None) -> None:
        super().__init__(VectorMaze(1, goal, cells, max_episode_steps=2**31), draw, render_mode)


def draw(observation: np.ndarray) -> np.ndarray:
    """Render an observation as bytes (height, width, colour). Values between 0 and 1 mix colours."""
    share = np.clip(observation, 0, 1)[..., None]
    picture = share[OPEN] * np.array(FLOOR) + (1 - share[OPEN]) * np.array(WALL)
    for channel, colour in ((GOAL, CHEESE), (AGENT, MOUSE)):
        picture = share[channel] * np.array(colour) + (1 - share[channel]) * picture
    return picture.round().astype(np.uint8).repeat(PIXELS, axis=0).repeat(PIXELS, axis=1)
