"""Names of a policy's observations and actions, and pictures of observations that are grids."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8

from workbench.checkpoints.card import Card
from workbench.data.environments import breakout, maze

TABLE = "q_table"
"""Architecture whose observations are one-hot states."""
OBSERVATIONS = {
    "CartPole-v1": ("position (m)", "velocity (m/s)", "angle (rad)", "angular velocity (rad/s)"),
    "Acrobot-v1": ("cos first angle", "sin first angle", "cos second angle", "sin second angle", "first speed (rad/s)",
                   "second speed (rad/s)"),
    "MountainCar-v0": ("position", "velocity"),
    "LunarLander-v3": ("x", "y", "x speed", "y speed", "angle", "angular speed", "left leg down", "right leg down"),
}  # fmt: skip
ACTIONS = {
    "Acrobot-v1": ("torque -1", "no torque", "torque 1"),
    "MountainCar-v0": ("push left", "do nothing", "push right"),
    "LunarLander-v3": ("do nothing", "left engine", "main engine", "right engine"),
    "CartPole-v1": ("push left", "push right"),
    "Maze-v0": ("up", "right", "down", "left"),
    "MinAtarBreakout-v0": ("stay", "left", "right"),
    "FrozenLake-v1": ("left", "down", "right", "up"),
    "CliffWalking-v1": ("up", "right", "down", "left"),
    "Taxi-v4": ("south", "north", "east", "west", "pick up", "drop off"),
}
SCENES = {"Maze-v0": ("the maze", maze.draw), "MinAtarBreakout-v0": ("the board", breakout.draw)}


def scene(card: Card) -> str:
    """Name what a policy that observes a grid looks at."""
    return SCENES.get(short_name(card), ("the grid", None))[0]


def grid(card: Card, values: Float[np.ndarray, "channel row column"]) -> UInt8[np.ndarray, "height width *colour"]:
    """Draw the observation of a maze or a board; the channels of any other grid are averaged in grey."""
    if short_name(card) in SCENES:
        return SCENES[short_name(card)][1](values)
    return np.clip(values.mean(axis=0) * 255, 0, 255).astype(np.uint8).repeat(24, axis=0).repeat(24, axis=1)


def short_name(card: Card) -> str:
    """Return the name of a policy's environment without its namespace."""
    return card.data.name.rpartition("/")[2]


def observation_names(card: Card, size: int) -> list[str]:
    """Name the numbers of an observation."""
    kind = "state" if card.architecture == TABLE else "feature"
    names = OBSERVATIONS.get(short_name(card), ())
    return [names[i] if i < len(names) else f"{kind} {i}" for i in range(size)]


def action_names(card: Card) -> list[str]:
    """Name the actions; empty if the environment is not listed here."""
    return list(ACTIONS.get(short_name(card), ()))
