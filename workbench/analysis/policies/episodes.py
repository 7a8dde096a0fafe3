"""Episodes of a policy in the rows of a vector environment."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from workbench.core.errors import InputError, ShapeError
from workbench.core.protocols import Environments, World
from workbench.core.ranges import PositiveInt, check_fields
from workbench.core.stepping import step_environments

ChooseAction = Callable[[Tensor, Tensor], Tensor]
"""Maps observations of some rows, and the indices of these rows, to actions."""


@dataclass(frozen=True)
class EpisodeConfig:
    """Number and length of episodes."""

    episodes: PositiveInt = 20
    """Number of episodes."""
    limit: PositiveInt | None = None
    """Time limit in steps; by default the environment's own."""

    def __post_init__(self) -> None:
        check_fields(self)

    def seeds(self, first: int) -> range:
        """Return one seed per episode, starting at `first`."""
        return range(first, first + self.episodes)

    def rows(self, world: World) -> Callable[[int], Environments]:
        """Return a function that makes the given number of rows with this time limit."""
        return lambda n: world.make(n, self.limit)


USUAL = EpisodeConfig()


@dataclass(frozen=True)
class Step:
    """One step of the rows whose first episode is running."""

    rows: Int[Tensor, " row"]
    observation: Float[Tensor, "row *observation"]
    action: Int[Tensor, " row"]
    reward: Float[Tensor, " row"]
    led_to: Float[Tensor, "row *observation"]
    """Next observation."""
    ended: Bool[Tensor, " row"]
    """True if the step ended the episode."""
    terminated: Bool[Tensor, " row"]
    """True if the step ended the episode other than by the time limit."""


def to_tensor(observation: np.ndarray) -> Float[Tensor, "row *observation"]:
    """Convert observations to the dtype of networks."""
    return torch.from_numpy(np.asarray(observation, dtype=np.float32))


@torch.no_grad()
def run_episodes(
    choose: ChooseAction, envs: Environments, seeds: Sequence[int], limit: int | None = None
) -> Iterator[Step]:
    """Run one episode per row of a vector environment and yield every step of the rows that are still running.

    Args:
        choose: Chooses actions; called only with rows that are still running.
        envs: Vector environment.
        seeds: Seed of each row.
        limit: Time limit in steps.

    Raises:
        ShapeError: If there is not one seed per row.
        InputError: If the environment returns a reward that is not finite.

    Cost: 1 call of `choose` per step.
    """
    if len(seeds) != envs.num_envs:
        raise ShapeError(f"Got {len(seeds)} seeds for {envs.num_envs} rows. Give one per row.")
    seen = to_tensor(envs.reset(seed=list(seeds))[0])
    rows, steps = torch.arange(envs.num_envs), 0
    actions = np.zeros(envs.num_envs, dtype=np.int64)
    while len(rows) and (limit is None or steps < limit):
        whole = len(rows) == len(seen)
        before = seen if whole else seen[rows]
        action = choose(before, rows)
        actions[rows.numpy()] = action.numpy()
        shown, reward, terminated, truncated, info = step_environments(envs, actions)
        seen, steps = to_tensor(shown), steps + 1
        ended = torch.from_numpy(terminated | truncated)
        led_to = seen.clone() if "final_obs" in info else seen
        if "final_obs" in info:
            over = np.asarray(info["_final_obs"])
            led_to[torch.from_numpy(over)] = to_tensor(np.stack(list(info["final_obs"][over])))
        gained = torch.from_numpy(np.asarray(reward, dtype=np.float64))
        check_rewards(gained[rows], rows, steps - 1)
        after = led_to if whole else led_to[rows]
        yield Step(rows, before, action, gained[rows], after, ended[rows], torch.from_numpy(terminated)[rows])
        rows = rows[~ended[rows]]


def check_rewards(reward: Float[Tensor, " row"], rows: Int[Tensor, " row"], step: int) -> None:
    """Raise an `InputError` with row and step if a reward is not finite."""
    if not (finite := reward.isfinite()).all():
        row = int((~finite).nonzero()[0])
        raise InputError(
            f"Row {int(rows[row])} of the environment returned the reward {float(reward[row])} at step {step}. "
            "Rewards must be finite. Fix the environment."
        )


def total_returns(steps: Iterator[Step], n_rows: int) -> Float[Tensor, " row"]:
    """Compute the undiscounted return of each row's episode."""
    total = torch.zeros(n_rows, dtype=torch.float64)
    for step in steps:
        total[step.rows] += step.reward
    return total
