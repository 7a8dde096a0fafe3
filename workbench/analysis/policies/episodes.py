"""First episodes of many rows side by side: who chooses, and what every step brings the rows still in theirs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from workbench.core.errors import InputError, ShapeError
from workbench.core.protocols import Environments, World
from workbench.core.random import derived_seed
from workbench.core.ranges import PositiveInt, check_fields
from workbench.core.stepping import stepped

ChooseAction = Callable[[Tensor, Tensor], Tensor]
"""From the observations of some rows, and the rows' numbers, to an action for each."""


@dataclass(frozen=True)
class EpisodeConfig:
    """How many `episodes` are played, and how far: up to `limit` steps instead of the environment's own limit."""

    episodes: PositiveInt = 20
    limit: PositiveInt | None = None

    def __post_init__(self) -> None:
        check_fields(self)

    def seeds(self, first: int) -> range:
        """One for each episode, from `first` on."""
        return range(first, first + self.episodes)

    def rows(self, world: World) -> Callable[[int], Environments]:
        """What makes rows of a world with this time limit."""
        return lambda n: world.make(n, self.limit)


USUAL = EpisodeConfig()


@dataclass(frozen=True)
class Step:
    """One step of the rows whose first episode was not over.

    `led_to` is what they saw next; `ended` are those it ended, `terminated` those it ended otherwise than by time.
    """

    rows: Int[Tensor, " row"]
    observation: Float[Tensor, "row *observation"]
    action: Int[Tensor, " row"]
    reward: Float[Tensor, " row"]
    led_to: Float[Tensor, "row *observation"]
    ended: Bool[Tensor, " row"]
    terminated: Bool[Tensor, " row"]


def to_tensor(observation: np.ndarray) -> Float[Tensor, "row *observation"]:
    """What environments show, as a network takes it."""
    return torch.from_numpy(np.asarray(observation, dtype=np.float32))


@torch.no_grad()
def run_episodes(
    choose: ChooseAction, envs: Environments, seeds: Sequence[int], limit: int | None = None
) -> Iterator[Step]:
    """Every row's first episode, step by step, until all have ended or lasted `limit` steps; row r has seed r.

    Rows whose episode is over are no longer asked about. Costs one forward pass on the rest per step.
    """
    if len(seeds) != envs.num_envs:
        raise ShapeError(f"{len(seeds)} seeds do not fit {envs.num_envs} rows. Give one for each.")
    seen = to_tensor(envs.reset(seed=list(seeds))[0])
    rows, steps = torch.arange(envs.num_envs), 0
    actions = np.zeros(envs.num_envs, dtype=np.int64)
    while len(rows) and (limit is None or steps < limit):
        whole = len(rows) == len(seen)
        before = seen if whole else seen[rows]
        action = choose(before, rows)
        actions[rows.numpy()] = action.numpy()
        shown, reward, terminated, truncated, info = stepped(envs, actions)
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
    """Raises when a reward is not a finite number, and says where."""
    if not (finite := reward.isfinite()).all():
        row = int((~finite).nonzero()[0])
        raise InputError(
            f"Row {int(rows[row])} of the environment gave the reward {float(reward[row])} at step {step}. "
            "Rewards must be finite: mend the environment."
        )


def total_returns(steps: Iterator[Step], n_rows: int) -> Float[Tensor, " row"]:
    """The undiscounted return of each row's first episode."""
    total = torch.zeros(n_rows, dtype=torch.float64)
    for step in steps:
        total[step.rows] += step.reward
    return total


def mean_interval(
    sample: Float[Tensor, "... episode"], seed: int = 0, level: float = 0.95, draws: int = 2000
) -> Float[Tensor, "2 ..."]:
    """Low and high end of the percentile bootstrap interval of means over episodes (Efron 1979).

    The same episodes are drawn for every row, so that intervals of paired rows belong together.
    """
    n = sample.shape[-1]
    rng = np.random.default_rng(derived_seed(seed, "bootstrap"))
    share = torch.from_numpy(rng.multinomial(n, np.full(n, 1 / n), size=draws) / n)
    means = sample.double() @ share.T
    ends = torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=torch.float64)
    return torch.quantile(means, ends, dim=-1)
