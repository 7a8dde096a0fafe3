"""Observations for a policy: what it sees in episodes of its own."""

from __future__ import annotations

from contextlib import closing
from itertools import count
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from workbench.core.errors import InputError
from workbench.data.environments import make
from workbench.experiments.inputs.batches import FORMS, SEEDS, Batch, Request, numbers, other_answers
from workbench.training.rollouts import Policy, as_observation, greedy_rollout

EPISODES = 100
"""Episodes that are looked at, at most, to show as many steps as were asked for."""
OTHER_EPISODES, OTHER_STATES = 16, 256
"""Greedy episodes, at most, and random states from which the corrupted ones are taken."""
OTHER_SEEDS = 10_000
"""Added to the seed of corrupted states, so that they come from episodes of their own."""


def observations(request: Request) -> Batch:
    """What greedy episodes show: N steps spread evenly over one, or all of it from FIRST up to LAST.

    When the episode is shorter than N, those of the seeds that follow are shown from their beginning, until there
    are N steps.
    """
    seed, *which = numbers(request)
    if which == [0]:
        raise InputError(f"rollout:{request.rest} asks for no steps. Write {FORMS['rollout']}.")
    name = request.model.card.data.name
    with closing(make(name)) as environment:
        shown = [greedy_rollout(reporting(request, which[-1]), environment, seed).observation]
        if len(which) == 1 and len(shown[0]) < which[0]:
            while (found := sum(map(len, shown))) < which[0] and len(shown) < EPISODES:
                policy = reporting(request, which[0], found)
                shown.append(greedy_rollout(policy, environment, seed + len(shown)).observation)
            steps = list(range(which[0]))
        else:
            steps = chosen_steps(len(shown[0]), *which)
    places = [(episode, step) for episode, seen in enumerate(shown) for step in range(len(seen))]
    require_steps(len(places), steps)
    labels = [labelled(seed, *places[i], several=len(shown) > 1) for i in steps]
    note = f"{name}, {described(seed, len(shown))}, {len(places)} steps long"
    return Batch(torch.cat(shown)[steps], None, tuple(labels), note)


def explored(request: Request) -> Batch:
    """N states that come up when every action is drawn at random, from SEED on."""
    (seed, n), name = numbers(request), request.model.card.data.name
    if n < 1:
        raise InputError(f"explored:{request.rest} asks for no states. Write {FORMS['explored']}.")
    with closing(make(name)) as environment:
        states = random_states(request, environment, seed, n)
    labels = tuple(f"state {i}" for i in range(n))
    return Batch(states, None, labels, f"{name}, random actions from seed {seed}")


def random_states(request: Request, environment: Any, seed: int, n: int) -> Float[Tensor, "batch *observation"]:
    """N states that come up when every action is drawn at random."""
    environment.action_space.seed(seed)
    shown = [environment.reset(seed=seed)[0]]
    while len(shown) < n:
        request.progress(len(shown), n)
        seen, _, terminated, truncated, _ = environment.step(environment.action_space.sample())
        shown.append(environment.reset()[0] if terminated or truncated else seen)
    return as_observation(np.stack(shown))


def other_actions(request: Request) -> Batch:
    """For each clean state one in which the policy prefers another action.

    Taken at random, by seed, from greedy episodes of other seeds; from states that random actions lead to where these
    have none.
    """
    seed = (request.seed_of_others("states in which the policy acts otherwise") + OTHER_SEEDS) % SEEDS
    name, episodes = request.model.card.data.name, list[Tensor]()
    with closing(make(name)) as environment:
        while len(episodes) < OTHER_EPISODES and (found := sum(map(len, episodes))) < OTHER_STATES:
            policy = reporting(request, OTHER_STATES, found)
            episodes.append(greedy_rollout(policy, environment, (seed + len(episodes)) % SEEDS).observation)
        played = torch.cat(episodes)
        states = torch.cat([played, random_states(request, environment, seed, OTHER_STATES)])
    rows = other_answers(request, states, (torch.arange(len(states)) < len(played)).float()[None])
    labels = tuple(f"other state {row}" for row in rows.tolist())
    return Batch(states[rows], None, labels, f"{name}, states in which the policy acts otherwise")


def reporting(request: Request, total: int, done: int = 0) -> Policy:
    """The policy that is asked for, which reports progress at each step."""
    steps = count(done)

    def choose(observation: torch.Tensor) -> Any:
        request.progress(min(next(steps), total), total)
        return request.ask(observation)

    return choose


def chosen_steps(length: int, first: int, last: int | None = None) -> list[int]:
    """`first` steps spread over the episode; with `last`, the steps from `first` up to it."""
    if last is None and first <= length:
        return [step * length // first for step in range(first)]
    if last is not None and first < last <= length:
        return list(range(first, last))
    asked = f"{first} steps" if last is None else f"steps {first}:{last}"
    raise InputError(f"The episode is {length} steps long and has no {asked}. Ask for 0:{length} or fewer.")


def require_steps(length: int, steps: list[int]) -> None:
    """Raises when even many episodes have not so many steps."""
    if len(steps) > length:
        raise InputError(f"{EPISODES} episodes have {length} steps and not {len(steps)}. Ask for fewer.")


def described(seed: int, episodes: int) -> str:
    """Which episodes are shown."""
    if episodes == 1:
        return f"greedy episode from seed {seed}"
    return f"greedy episodes from seeds {seed} to {seed + episodes - 1}"


def labelled(seed: int, episode: int, step: int, several: bool) -> str:
    """What a step is called."""
    return f"seed {seed + episode}, step {step}" if several else f"step {step}"
