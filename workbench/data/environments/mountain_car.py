"""MountainCar-v0: a car in a valley, too weak to drive straight up; actions push left, not at all, or right.

Every step costs 1 until it is up the right hill. Observations are position and velocity, in the units of Moore 1990.
"""

import numpy as np
from gymnasium import spaces

from workbench.data.environments.classic_control import Rules

FORCE, GRAVITY = 0.001, 0.0025
LEFT, RIGHT, GOAL = -1.2, 0.6, 0.5
SPEED = 0.07
LOW, HIGH = np.array([LEFT, -SPEED], dtype=np.float32), np.array([RIGHT, SPEED], dtype=np.float32)


def start(rng: np.random.Generator, n: int) -> np.ndarray:
    """At rest, near the bottom."""
    return np.stack([rng.uniform(-0.6, -0.4, size=n), np.zeros(n)])


def after(state: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """The state one step later; the wall on the left stops the car."""
    velocity = np.clip(state[1] + (actions - 1) * FORCE - GRAVITY * np.cos(3 * state[0]), -SPEED, SPEED)
    position = np.clip(state[0] + velocity, LEFT, RIGHT)
    return np.stack([position, np.where((position == LEFT) & (velocity < 0), 0.0, velocity)])


def ended(state: np.ndarray) -> np.ndarray:
    """Whether the car is up the hill, and not rolling back."""
    return (state[0] >= GOAL) & (state[1] >= 0)


def observed(state: np.ndarray) -> np.ndarray:
    """All of the state."""
    return state.T.astype(np.float32)


def reward(terminated: np.ndarray) -> np.ndarray:
    """Minus one for every step, the last included."""
    return -np.ones(len(terminated))


MOUNTAIN_CAR = Rules("MountainCar", spaces.Box(LOW, HIGH, dtype=np.float32), 3, 200, start, after, ended, observed,
                     reward)  # fmt: skip
