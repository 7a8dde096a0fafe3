"""MountainCar-v0: drive a car out of a valley that is too steep for its engine.

Actions push left, not at all, or right. Every step costs 1 until the car is on the right hill. Observations are
position and velocity (units of Moore 1990).
"""

import numpy as np
from gymnasium import spaces

from workbench.data.environments.classic_control import Rules

FORCE, GRAVITY = 0.001, 0.0025
LEFT, RIGHT, GOAL = -1.2, 0.6, 0.5
SPEED = 0.07
LOW, HIGH = np.array([LEFT, -SPEED], dtype=np.float32), np.array([RIGHT, SPEED], dtype=np.float32)


def start(rng: np.random.Generator, n: int) -> np.ndarray:
    """Draw initial states: at rest, near the bottom."""
    return np.stack([rng.uniform(-0.6, -0.4, size=n), np.zeros(n)])


def advance(state: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """Advance the state by one step; the wall on the left stops the car."""
    velocity = np.clip(state[1] + (actions - 1) * FORCE - GRAVITY * np.cos(3 * state[0]), -SPEED, SPEED)
    position = np.clip(state[0] + velocity, LEFT, RIGHT)
    return np.stack([position, np.where((position == LEFT) & (velocity < 0), 0.0, velocity)])


def is_terminal(state: np.ndarray) -> np.ndarray:
    """Return whether the car is on the hill and not rolling back."""
    return (state[0] >= GOAL) & (state[1] >= 0)


def observe(state: np.ndarray) -> np.ndarray:
    """Return the full state."""
    return state.T.astype(np.float32)


def reward(terminated: np.ndarray) -> np.ndarray:
    """Return -1 for every step, the last included."""
    return -np.ones(len(terminated))


MOUNTAIN_CAR = Rules(
    "MountainCar", spaces.Box(LOW, HIGH, dtype=np.float32), 3, 200, start, advance, is_terminal, observe, reward
)
