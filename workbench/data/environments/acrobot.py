"""Acrobot-v1: swing the tip of two links up, with a torque of -1, 0 or 1 N m at the joint between them.

Every step but the last costs 1. Observations are cosine and sine of both angles (the second relative to the first)
and their angular velocities in rad/s.
"""

import math

import numpy as np
from gymnasium import spaces

from workbench.data.environments.classic_control import Rules

GRAVITY = 9.8  # m/s^2
SECONDS_PER_STEP = 0.2
CENTRE = 0.5  # m from a link's end to its centre of mass; links have 1 m, 1 kg and 1 kg m^2
SPEEDS = np.array([[4 * math.pi], [9 * math.pi]])  # rad/s, the limits
HIGH = np.array([1, 1, 1, 1, *SPEEDS[:, 0]], dtype=np.float32)


def start(rng: np.random.Generator, n: int) -> np.ndarray:
    """Draw initial states near zero, hanging down."""
    return rng.uniform(-0.1, 0.1, size=(n, 4)).astype(np.float32).T.astype(np.float64)


def derivative(state: np.ndarray, torque: np.ndarray) -> np.ndarray:
    """Compute the time derivative of the state (Sutton and Barto 1998, section 11.3)."""
    first, second, spin, other_spin = state
    cos, sin = np.cos(second), np.sin(second)
    d1 = CENTRE**2 + (1 + CENTRE**2 + 2 * CENTRE * cos) + 2
    d2 = CENTRE**2 + CENTRE * cos + 1
    phi2 = CENTRE * GRAVITY * np.sin(first + second)
    phi1 = -CENTRE * sin * other_spin * (other_spin + 2 * spin) + (CENTRE + 1) * GRAVITY * np.sin(first) + phi2
    turn = (torque + d2 / d1 * phi1 - CENTRE * np.square(spin) * sin - phi2) / (CENTRE**2 + 1 - np.square(d2) / d1)
    return np.stack([spin, other_spin, -(d2 * turn + phi1) / d1, turn])


def advance(state: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """Advance the state by one step of the fourth-order Runge-Kutta method."""
    torque, h = actions - 1.0, SECONDS_PER_STEP
    k1 = derivative(state, torque)
    k2 = derivative(state + h / 2 * k1, torque)
    k3 = derivative(state + h / 2 * k2, torque)
    k4 = derivative(state + h * k3, torque)
    moved = state + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    angles = (moved[:2] + math.pi) % (2 * math.pi) - math.pi
    return np.concatenate([angles, np.clip(moved[2:], -SPEEDS, SPEEDS)])


def is_terminal(state: np.ndarray) -> np.ndarray:
    """Return whether the tip is at least one link's length above the joint."""
    return -np.cos(state[0]) - np.cos(state[0] + state[1]) > 1


def observe(state: np.ndarray) -> np.ndarray:
    """Return cosine and sine of the angles, and the angular velocities."""
    (first, second), speeds = state[:2], state[2:]
    seen = [np.cos(first), np.sin(first), np.cos(second), np.sin(second), *speeds]
    return np.stack(seen, axis=1).astype(np.float32)


def reward(terminated: np.ndarray) -> np.ndarray:
    """Return -1 for every step that does not end the episode, else 0."""
    return np.where(terminated, 0.0, -1.0)


ACROBOT = Rules(
    "Acrobot", spaces.Box(-HIGH, HIGH, dtype=np.float32), 3, 500, start, advance, is_terminal, observe, reward
)
