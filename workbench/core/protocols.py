"""Protocols of models and environments for lower layers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class HasHooks(Protocol):
    """Model with named hook points and axes."""

    hook_dict: Any

    def trace(self, inputs: Any = None, on_request: bool = True) -> Any:
        """Return axes and shape of each activation by name."""
        ...


@runtime_checkable
class Environments(Protocol):
    """Vector environment, as in gymnasium.

    A list of seeds has one for each row; rows with equal seeds start equally. The last observation of an ended episode
    is in `final_obs`, and the next episode begins in the same step.
    """

    num_envs: int

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """Start a new episode in every row and return the observations."""
        ...

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Step every row and return observations, rewards, terminations, truncations and infos."""
        ...


@dataclass(frozen=True)
class World:
    """Environment of a policy. `make(n, steps)` creates n rows, truncated after `steps` steps (None: the limit of the
    environment); `discount` is that of the training.
    """

    name: str
    make: Callable[[int, int | None], Environments]
    discount: float

    def rows(self, n: int) -> Environments:
        """Create `n` rows of the environment with its own limit."""
        return self.make(n, None)
