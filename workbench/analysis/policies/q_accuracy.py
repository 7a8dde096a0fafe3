"""A network's or a critic's Q beside exact values: what every action brings, by playing it and going on greedily."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from workbench.analysis.policies.episodes import run_episodes
from workbench.core.errors import InputError
from workbench.core.fitting import needs_axes
from workbench.core.hooked import HookedModel
from workbench.core.metrics import logits_of
from workbench.core.protocols import Environments, World
from workbench.core.registry import ANALYSES


@dataclass(frozen=True)
class QAccuracy:
    """For each state met, and each action, the network's Q and the discounted return that the action really brings.

    Of an actor-critic Q is the reward and then the discounted value of the next state. `exact` plays the action and
    then the network's greedy ones. `bias` is the mean of q - exact, `correlation`
    theirs over states and actions, `agreement` the share of states where both prefer the same action.
    """

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
def check_values(model: HookedModel, world: World, states: int = 20, limit: int = 1000, seed: int = 0) -> QAccuracy:
    """Whether what a network expects of every action comes true: Q beside the return of playing it and going on.

    Up to `states` states are spread over the first half of `limit` steps of a greedy episode, played without the
    environment's own time limit. Where chance goes on after the start, a return is a single draw. Costs `limit`
    forward passes on a row for each state and action.
    """
    with model.lock:
        make = lambda n: world.make(n, limit)  # noqa: E731
        choose = lambda x, _: logits_of(model(x)).argmax(-1)  # noqa: E731
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
    """Q and exact values at the named steps of the greedy episode of `seed`, in an environment without later chance.

    Each row replays the episode up to its state, takes its action, and goes on greedily; all states and actions are
    rows of one vector environment. Rewards count up to `limit` steps after the start: let discount^limit be small,
    and the environment's own time limit no shorter. Costs `limit` forward passes on all rows.
    """
    greedy = list(run_episodes(lambda x, _: logits_of(network(x)).argmax(-1), make_environments(1), [seed], limit))
    if not steps or max(steps) >= len(greedy) or min(steps) < 0:
        raise InputError(f"The episode from seed {seed} has {len(greedy)} steps, from 0 on: ask for some of these.")
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
