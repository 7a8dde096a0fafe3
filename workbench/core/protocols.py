"""What lower layers ask of a model without knowing its class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class HasHooks(Protocol):
    """Anything whose hook points have names and axes and which can say what they gave."""

    hook_dict: Any

    def trace(self, inputs: Any = None, on_request: bool = True) -> Any:
        """What each hook point gives, by name."""
        ...


@runtime_checkable
class Environments(Protocol):
    """Rows of an environment stepped together, as gymnasium's vector environments are.

    A list of seeds gives each row its own: rows of equal seed begin alike. An ended episode's own last observation
    is in `final_obs`, and the next episode begins in the same step.
    """

    num_envs: int

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """First observations of a new episode in every row."""
        ...

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Observations, rewards, terminations, truncations and what else there is to know."""
        ...


@dataclass(frozen=True)
class World:
    """Where a policy acts: `make(n, steps)` makes n rows of its environment, cut off after so many steps (None: the
    environment's own limit); `discount` is that of its training.
    """

    name: str
    make: Callable[[int, int | None], Environments]
    discount: float

    def rows(self, n: int) -> Environments:
        """`n` rows of the environment as it is."""
        return self.make(n, None)
