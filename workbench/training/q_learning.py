"""Tabular Q-learning (Watkins & Dayan 1992).

1. Step every environment with an epsilon-greedy action.
2. Move each visited entry Q(s, a) towards its Bellman target by the learning rate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Gt, Le
from gymnasium.vector import VectorEnv
from jaxtyping import Bool, Float, Int
from torch import Tensor

from workbench.core.progress import Progress, silent
from workbench.core.random import generator
from workbench.core.ranges import PositiveInt, Share, check_fields
from workbench.core.stepping import step_environments
from workbench.training.curve import Curve
from workbench.training.exploration import epsilon_at, epsilon_greedy, require_exploration
from workbench.training.rollouts import as_observation, next_states, require_same_step_reset
from workbench.training.schedules import schedule

Rows = Float[Tensor, " env"]
Table = Float[Tensor, "state action"]
LOGGED = 100
"""Points of the curve."""


@dataclass(frozen=True)
class QLearningConfig:
    """Settings of Q-learning. The defaults suit FrozenLake."""

    steps: PositiveInt = 400_000
    """Steps of all environments together, rounded up to whole rounds."""
    lr: Annotated[float, Gt(0), Le(1)] = 0.1
    """Learning rate where the schedule's factor is 1, the paper's alpha."""
    schedule: str = "linear"
    """One of `schedules.SCHEDULES`, over steps."""
    discount: Share = 0.99
    """The paper's gamma."""
    epsilon_start: Share = 1.0
    """Probability of a random action at the beginning."""
    epsilon_end: Share = 0.1
    """Probability of a random action at the end."""
    epsilon_share: Annotated[float, Gt(0), Le(1)] = 1.0
    """Share of training over which the probability falls."""

    def __post_init__(self) -> None:
        check_fields(self)
        schedule(self.schedule)
        require_exploration(self.epsilon_start, self.epsilon_end)


def bellman_target(
    reward: Rows, next_q: Float[Tensor, "env action"], terminated: Bool[Tensor, " env"], discount: float | Rows
) -> Rows:
    """Compute the Bellman target: the reward plus the discounted value of the next state's best action.

    `next_q` belongs to the state after the step, before an automatic reset. Only termination drops it, truncation does
    not.
    """
    return reward + discount * next_q.max(dim=1).values * ~terminated


def update(table: Table, state: Int[Tensor, " env"], action: Int[Tensor, " env"], target: Rows, lr: float) -> None:
    """Apply Q(s, a) += lr (target - Q(s, a)) in place; rows with the same entry move it by their mean."""
    surprise = target - table[state, action]
    total, count = torch.zeros_like(table), torch.zeros_like(table)
    total.index_put_((state, action), surprise, accumulate=True)
    count.index_put_((state, action), torch.ones_like(surprise), accumulate=True)
    table += lr * total / count.clamp(min=1)


@torch.no_grad()
def q_learning(
    table: Table, envs: VectorEnv, cfg: QLearningConfig, seed: int = 0, progress: Progress = silent
) -> Curve:
    """Train a table in place in environments with one-hot observations.

    Returns:
        The curve by environment step: mean return of the episodes that ended, and epsilon.
    """
    require_same_step_reset(envs)
    steps, rng = math.ceil(cfg.steps / envs.num_envs), generator(seed, "exploration")
    rate = schedule(cfg.schedule)
    state = as_observation(envs.reset(seed=seed)[0]).argmax(dim=1)
    total, finished, curve = torch.zeros(envs.num_envs), list[Tensor](), Curve()
    for step in range(steps):
        epsilon = epsilon_at(step / steps, cfg.epsilon_start, cfg.epsilon_end, cfg.epsilon_share)
        action = epsilon_greedy(table[state], epsilon, rng)
        shown, reward, terminated, truncated, info = step_environments(envs, action.numpy())
        gained, ended = torch.as_tensor(reward, dtype=table.dtype), torch.from_numpy(terminated)
        target = bellman_target(gained, table[next_states(shown, info).argmax(dim=1)], ended, cfg.discount)
        update(table, state, action, target, cfg.lr * rate(step, steps, 0, 0.0))
        total += gained
        done = ended | torch.from_numpy(truncated)
        finished.append(total[done])
        total[done] = 0
        state = as_observation(shown).argmax(dim=1)
        if (step + 1) % max(1, steps // LOGGED) == 0:
            returns = torch.cat(finished)
            seen = {"return": float(returns.mean())} if len(returns) else {}
            curve, finished = curve.with_point((step + 1) * envs.num_envs, {"epsilon": epsilon} | seen), []
            progress(step + 1, steps)
    return curve
