"""CartPole-v1: balance a pole on a cart by pushing left (0) or right (1), with reward 1 for every step.

Observations are position (m), velocity (m/s), angle (rad) and angular velocity (rad/s).
"""

import math

import numpy as np
from gymnasium import spaces

from workbench.data.environments.classic_control import Rules

GRAVITY = 9.8  # m/s^2
POLE_MASS, TOTAL_MASS = 0.1, 1.1  # kg
HALF_LENGTH = 0.5  # m
FORCE = 10.0  # N
SECONDS_PER_STEP = 0.02
POSITION_LIMIT = 2.4  # m
ANGLE_LIMIT = 12 * 2 * math.pi / 360  # rad
START = 0.05  # quantities start uniformly in -START..START
HIGH = np.array([2 * POSITION_LIMIT, np.inf, 2 * ANGLE_LIMIT, np.inf], dtype=np.float32)


def start(rng: np.random.Generator, n: int) -> np.ndarray:
    """Draw initial states row by row, so that a row's first state does not depend on the number of rows."""
    return rng.uniform(-START, START, size=(n, 4)).T.copy()


def advance(state: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """Advance the state by one Euler step (Barto, Sutton and Anderson 1983; corrected equations of Florian 2007)."""
    _, velocity, angle, angular_velocity = state
    force = np.where(actions == 1, FORCE, -FORCE)
    cos, sin = np.cos(angle), np.sin(angle)
    push = (force + POLE_MASS * HALF_LENGTH * np.square(angular_velocity) * sin) / TOTAL_MASS
    angular_acceleration = (GRAVITY * sin - cos * push) / (
        HALF_LENGTH * (4.0 / 3.0 - POLE_MASS * np.square(cos) / TOTAL_MASS)
    )
    acceleration = push - POLE_MASS * HALF_LENGTH * angular_acceleration * cos / TOTAL_MASS
    return state + SECONDS_PER_STEP * np.stack([velocity, acceleration, angular_velocity, angular_acceleration])


def is_terminal(state: np.ndarray) -> np.ndarray:
    """Return whether the cart is off the track or the pole has fallen."""
    return (np.abs(state[0]) > POSITION_LIMIT) | (np.abs(state[2]) > ANGLE_LIMIT)


def observe(state: np.ndarray) -> np.ndarray:
    """Return the full state."""
    return state.T.astype(np.float32)


def reward(terminated: np.ndarray) -> np.ndarray:
    """Return 1 for every step, the last included."""
    return np.ones(len(terminated))


CARTPOLE = Rules(
    "CartPole", spaces.Box(-HIGH, HIGH, dtype=np.float32), 2, 500, start, advance, is_terminal, observe, reward
)
