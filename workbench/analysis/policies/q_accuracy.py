"""Accuracy of action values: predicted Q compared with returns of rollouts from the same states."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from workbench.analysis.policies.episodes import run_episodes
from workbench.core.coordinates import Result, View
from workbench.core.errors import InputError
from workbench.core.fitting import needs_axes
from workbench.core.hooked import HookedModel
from workbench.core.metrics import logits_of
from workbench.core.protocols import Environments, World
from workbench.core.ranges import PositiveInt
from workbench.core.registry import ANALYSES


@dataclass(frozen=True)
class QAccuracy(Result):
    """Predicted and exact action values of some states.

    For an actor-critic Q is the reward plus the discounted value of the next state. `exact` plays the action and
    continues greedily. `bias` is the mean of q - exact, `correlation` theirs over states and actions, `agreement` the
    share of states where both prefer the same action.
    """

    view: ClassVar[View] = View(main="q")

    step: Int[Tensor, " state"]
    observation: Float[Tensor, "state *observation"]
    q: Float[Tensor, "state action"]
    exact: Float[Tensor, "state action"]
    bias: float
    correlation: float
    agreement: float


@ANALYSES.register("q_accuracy")
@needs_axes("action")
@torch.no_grad()
def check_values(
    model: HookedModel, world: World, states: PositiveInt = 20, limit: PositiveInt = 1000, seed: int = 0
) -> QAccuracy:
    """Compare predicted action values with the return of playing each action and continuing greedily.

    Args:
        model: A policy with values, or a Q-network.
        world: Environment of the policy.
        states: Maximum number of states, evenly spaced over the first half of `limit` steps of a greedy episode.
        limit: Time limit in steps, in place of the environment's own.
        seed: Seed of the episode.

    Returns:
        A `QAccuracy`. If the environment is random after the start, each exact value is a single sample.

    Cost: `limit` forward passes on one row per state and action.

    Example:
        >>> found = workbench.run("q_accuracy", model="cartpole_dqn", states=3, limit=50)
        >>> found.step, found.q.shape
        (tensor([ 0,  8, 16]), torch.Size([3, 2]))
    """
    with model.lock:
        make = lambda n: world.make(n, limit)
        choose = lambda x, _: logits_of(model(x)).argmax(-1)
        half = max(1, limit // 2)
        length = sum(1 for _ in run_episodes(choose, make(1), [seed], half))
        steps = sorted({i * length // states for i in range(states)})
        return measure_q_accuracy(model, make, seed, steps, world.discount, limit)


@torch.no_grad()
def measure_q_accuracy(
    network: Callable[[Tensor], object],
    make_environments: Callable[[int], Environments],
    seed: int,
    steps: Sequence[int],
    discount: float,
    limit: int,
) -> QAccuracy:
    """Compare predicted with exact action values at given steps of a greedy episode.

    Each row of one vector environment replays the episode up to its state, takes its action, and continues greedily.
    The environment must not be random after the start.

    Args:
        network: Policy with values, or Q-network.
        make_environments: Makes a vector environment with the given number of rows.
        seed: Seed of the episode.
        steps: Steps at which to compare.
        discount: Discount factor of the returns.
        limit: Steps after the start up to which rewards count. `discount`^`limit` should be small, and the
            environment's own time limit not less.

    Cost: `limit` forward passes on all rows.
    """
    greedy = list(run_episodes(lambda x, _: logits_of(network(x)).argmax(-1), make_environments(1), [seed], limit))
    if not steps or max(steps) >= len(greedy) or min(steps) < 0:
        raise InputError(f"steps are out of range: the episode from seed {seed} has the steps 0 to {len(greedy) - 1}.")
    at = torch.tensor(list(steps))
    seen, played = torch.cat([s.observation for s in greedy]), torch.cat([s.action for s in greedy])
    said = network(seen[at])
    n_actions = logits_of(said).shape[1]
    branch, first = at.repeat_interleave(n_actions), torch.arange(n_actions).repeat(len(at))
    total, t = torch.zeros(len(branch), dtype=torch.float64), 0
    backed_up = torch.zeros(len(branch))

    def choose(observation: Tensor, rows: Tensor) -> Tensor:
        own = logits_of(network(observation)).argmax(dim=-1)
        follows = played[t] if t < len(played) else own
        return torch.where(branch[rows] > t, follows, torch.where(branch[rows] == t, first[rows], own))

    for step in run_episodes(choose, make_environments(len(branch)), [seed] * len(branch), limit):
        since = t - branch[step.rows]
        total[step.rows] += (since >= 0) * discount ** since.clamp(min=0).double() * step.reward
        here = branch[step.rows] == t
        if here.any() and not hasattr(said, "q"):
            after = network(step.led_to[here]).value * ~step.terminated[here]  # type: ignore[attr-defined]
            backed_up[step.rows[here]] = step.reward[here].float() + discount * after
        t += 1
    q = said.q if hasattr(said, "q") else backed_up.reshape(len(at), n_actions)
    exact = total.reshape(len(at), n_actions)
    pair = torch.stack([q.flatten().double(), exact.flatten()])
    same = (q.argmax(dim=1) == exact.argmax(dim=1)).double().mean()
    return QAccuracy(at, seen[at], q, exact, float((q - exact).mean()), float(torch.corrcoef(pair)[0, 1]), float(same))
