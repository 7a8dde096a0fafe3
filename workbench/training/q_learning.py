"""Tabular Q-learning (Watkins & Dayan 1992): each entry moves towards what its action was just seen to be worth."""

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
from workbench.training.rollouts import as_observation, led_to, require_same_step_reset
from workbench.training.schedules import schedule

Rows = Float[Tensor, " env"]
Table = Float[Tensor, "state action"]
LOGGED = 100
"""Points of the curve."""


@dataclass(frozen=True)
class QLearningConfig:
    """How to train; the defaults suit FrozenLake."""

    steps: PositiveInt = 400_000
    """Steps of all environments together, rounded up to whole steps of all."""
    lr: Annotated[float, Gt(0), Le(1)] = 0.1
    """Learning rate where the schedule's factor is 1, the paper's alpha."""
    schedule: str = "linear"
    """One of `schedules.SCHEDULES`, over steps."""
    discount: Share = 0.99
    """The paper's gamma."""
    epsilon_start: Share = 1.0
    """Probability of a random action at the beginning."""
    epsilon_end: Share = 0.1
    """The same at the end."""
    epsilon_share: Annotated[float, Gt(0), Le(1)] = 1.0
    """Share of training over which it falls from one to the other."""

    def __post_init__(self) -> None:
        check_fields(self)
        schedule(self.schedule)
        require_exploration(self.epsilon_start, self.epsilon_end)


def bellman_target(
    reward: Rows, next_q: Float[Tensor, "env action"], terminated: Bool[Tensor, " env"], discount: float | Rows
) -> Rows:
    """What an action was seen to be worth: its reward, and the best that can follow if anything does.

    `next_q` is that of the state the step led to, never of the one after an automatic reset; running out of time
    is no termination.
    """
    return reward + discount * next_q.max(dim=1).values * ~terminated


def update(table: Table, state: Int[Tensor, " env"], action: Int[Tensor, " env"], target: Rows, lr: float) -> None:
    """Q(s, a) += lr (target - Q(s, a)) in place; rows that meet at one entry move it by their mean."""
    surprise = target - table[state, action]
    total, count = torch.zeros_like(table), torch.zeros_like(table)
    total.index_put_((state, action), surprise, accumulate=True)
    count.index_put_((state, action), torch.ones_like(surprise), accumulate=True)
    table += lr * total / count.clamp(min=1)


@torch.no_grad()
def q_learning(
    table: Table, envs: VectorEnv, cfg: QLearningConfig, seed: int = 0, progress: Progress = silent
) -> Curve:
    """Fills a table in place by acting epsilon-greedily in environments that show their state one-hot.

    Returns the curve: by environment step, the mean return of the episodes that ended, and epsilon.
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
        target = bellman_target(gained, table[led_to(shown, info).argmax(dim=1)], ended, cfg.discount)
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
