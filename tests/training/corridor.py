"""Corridor environment whose values are known, for tests of episode ends."""

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv

LENGTH = 7
DISCOUNT = 0.9


class Corridor(gymnasium.Env):
    """A walk to the right from a random place; leaving at the end terminates. The action makes no difference.

    It shows the share of the way that is behind, and every step is worth what it then shows: each place has
    another value, given by `corridor_value`.
    """

    observation_space = spaces.Box(0, 1, (1,), np.float32)
    action_space = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self.place = int(self.np_random.integers(LENGTH))
        return self.seen(), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict]:
        self.place += 1
        return self.seen(), self.place / LENGTH, self.place == LENGTH, False, {}

    def seen(self) -> np.ndarray:
        return np.array([self.place / LENGTH], dtype=np.float32)


def corridors(n: int, time_limit: int = 3, mode: AutoresetMode = AutoresetMode.SAME_STEP) -> SyncVectorEnv:
    """`n` corridors with a time limit: some episodes terminate, some are truncated, some both."""
    return SyncVectorEnv(
        [lambda: gymnasium.wrappers.TimeLimit(Corridor(), time_limit) for _ in range(n)], autoreset_mode=mode
    )


def corridor_value(place: np.ndarray) -> np.ndarray:
    """The discounted sum of what is still to come: DISCOUNT^k (place + k + 1) / LENGTH over k, up to the end."""
    steps = np.arange(LENGTH)
    gains = np.where(place[..., None] + steps < LENGTH, place[..., None] + steps + 1, 0)
    return (DISCOUNT**steps * gains).sum(-1) / LENGTH


class Numbered(gymnasium.ObservationWrapper):
    """The corridor with its places shown one-hot."""

    observation_space = spaces.Box(0, 1, (LENGTH + 1,), np.float32)

    def observation(self, observation: np.ndarray) -> np.ndarray:
        return np.eye(LENGTH + 1, dtype=np.float32)[round(float(observation[0]) * LENGTH)]


def numbered_corridors(n: int, time_limit: int = 3) -> SyncVectorEnv:
    """Corridors for tables."""
    made = [lambda: gymnasium.wrappers.TimeLimit(Numbered(Corridor()), time_limit) for _ in range(n)]
    return SyncVectorEnv(made, autoreset_mode=AutoresetMode.SAME_STEP)
