"""Observations for a policy: what it sees in an episode of its own."""

from __future__ import annotations

import gymnasium

import workbench.data.environments  # noqa: F401  (registers our own)
from workbench.core.errors import InputError, UnknownNameError
from workbench.experiments.batches import FORMS, Batch, Request
from workbench.training.rollouts import greedy_rollout


def observations(request: Request) -> Batch:
    """What a greedy episode shows: N steps spread evenly over it, or all from FIRST up to LAST."""
    numbers = [int(part) if part.isdecimal() else -1 for part in request.rest.split(":")]
    if len(numbers) not in (2, 3) or min(numbers) < 0 or numbers[1:] == [0]:
        raise InputError(f"rollout:{request.rest} is no rollout. Write {FORMS['rollout']}.")
    seed, *which = numbers
    name = request.model.card.data.name
    if name not in gymnasium.registry:
        raise UnknownNameError("environment", name, gymnasium.registry)
    environment = gymnasium.make(name)
    shown = greedy_rollout(request.model, environment, seed).observation
    environment.close()
    steps = chosen_steps(len(shown), *which)
    note = f"{name}, greedy episode from seed {seed}, {len(shown)} steps long"
    return Batch(shown[steps], None, tuple(f"step {step}" for step in steps), note)


def chosen_steps(length: int, first: int, last: int | None = None) -> list[int]:
    """`first` steps spread over the episode; with `last`, the steps from `first` up to it."""
    if last is None and first <= length:
        return [step * length // first for step in range(first)]
    if last is not None and first < last <= length:
        return list(range(first, last))
    asked = f"{first} steps" if last is None else f"steps {first}:{last}"
    raise InputError(f"The episode is {length} steps long and has no {asked}. Ask for 0:{length} or fewer.")
