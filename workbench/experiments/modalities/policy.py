"""Observations of a policy: steps of its greedy episodes, and states that random actions lead to."""

from __future__ import annotations

from contextlib import closing
from itertools import count
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from workbench.core.errors import InputError
from workbench.core.metrics import logits_of
from workbench.core.registry import MODALITIES
from workbench.data.environments import make
from workbench.experiments.inputs.batches import Batch, Request, other_answers
from workbench.experiments.inputs.forms import Form, NumberField
from workbench.experiments.inputs.language import SEEDS, Draws, Seed, Source, Steps
from workbench.experiments.inputs.modality import Modality, Preset, is_policy
from workbench.experiments.inputs.observations import TABLE, action_names, grid, observation_names, scene
from workbench.experiments.inputs.views import LineView, NumberView, PictureView, View
from workbench.training.rollouts import Policy, as_observation, greedy_rollout

EPISODES = 100
"""Episodes played, at most, to reach the number of steps asked for."""
OTHER_EPISODES, OTHER_STATES = 16, 256
"""Largest number of greedy episodes, and number of random states, from which corrupted states are taken."""
OTHER_SEEDS = 10_000
"""Offset of the seed of corrupted states, so that they come from other episodes than the clean ones."""


def read_episode(request: Request) -> Batch:
    """Read N steps spread evenly over a greedy episode, or all of it from FIRST up to LAST.

    If the episode is shorter than N, the episodes of the next seeds follow from their beginning until there are N
    steps.
    """
    seed, which = request.selection.seed, request.selection.steps
    if which == [0]:
        raise InputError(f"{request.inputs} asks for no steps. Write {request.inputs.form}.")
    name = request.model.card.data.name
    with closing(make(name)) as environment:
        shown = [greedy_rollout(with_progress(request, which[-1]), environment, seed).observation]
        if len(which) == 1 and len(shown[0]) < which[0]:
            while (found := sum(map(len, shown))) < which[0] and len(shown) < EPISODES:
                policy = with_progress(request, which[0], found)
                shown.append(greedy_rollout(policy, environment, seed + len(shown)).observation)
            steps = list(range(which[0]))
        else:
            steps = chosen_steps(len(shown[0]), *which)
    places = [(episode, step) for episode, seen in enumerate(shown) for step in range(len(seen))]
    if len(steps) > len(places):
        raise InputError(f"{EPISODES} episodes have {len(places)} steps and not {len(steps)}. Ask for fewer.")
    labels = [f"seed {seed + episode}, step {step}" if len(shown) > 1 else f"step {step}"
              for episode, step in map(places.__getitem__, steps)]  # fmt: skip
    note = f"{name}, {describe_episodes(seed, len(shown))}, {len(places)} steps long"
    return Batch(torch.cat(shown)[steps], None, tuple(labels), note)


def read_explored(request: Request) -> Batch:
    """Read N states that random actions lead to."""
    seed, n, name = request.selection.seed, request.selection.n, request.model.card.data.name
    if n < 1:
        raise InputError(f"{request.inputs} asks for no states. Write {request.inputs.form}.")
    with closing(make(name)) as environment:
        states = random_states(request, environment, seed, n)
    labels = tuple(f"state {i}" for i in range(n))
    return Batch(states, None, labels, f"{name}, random actions from seed {seed}")


def random_states(request: Request, environment: Any, seed: int, n: int) -> Float[Tensor, "batch *observation"]:
    """Step through N states, drawing every action at random."""
    environment.action_space.seed(seed)
    shown = [environment.reset(seed=seed)[0]]
    while len(shown) < n:
        request.progress(len(shown), n)
        seen, _, terminated, truncated, _ = environment.step(environment.action_space.sample())
        shown.append(environment.reset()[0] if terminated or truncated else seen)
    return as_observation(np.stack(shown))


def read_other_actions(request: Request) -> Batch:
    """Read, for each clean state, one in which the policy prefers another action.

    States come from greedy episodes of other seeds, and from random actions if these have none.
    """
    request.clean_for("states in which the policy acts otherwise")
    seed = (request.selection.seed + OTHER_SEEDS) % SEEDS
    name, episodes = request.model.card.data.name, list[Tensor]()
    with closing(make(name)) as environment:
        while len(episodes) < OTHER_EPISODES and (found := sum(map(len, episodes))) < OTHER_STATES:
            policy = with_progress(request, OTHER_STATES, found)
            episodes.append(greedy_rollout(policy, environment, (seed + len(episodes)) % SEEDS).observation)
        played = torch.cat(episodes)
        states = torch.cat([played, random_states(request, environment, seed, OTHER_STATES)])
    rows = other_answers(request, states, (torch.arange(len(states)) < len(played)).float()[None])
    labels = tuple(f"other state {row}" for row in rows.tolist())
    return Batch(states[rows], None, labels, f"{name}, states in which the policy acts otherwise")


class Decision(NamedTuple):
    """Output of a policy without a critic: action logits, and zero in place of a value, which no input holds."""

    logits: Tensor
    value: Tensor


def with_progress(request: Request, total: int, done: int = 0) -> Policy:
    """Return the policy, reporting progress at each step."""
    steps = count(done)

    def choose(observation: torch.Tensor) -> Any:
        request.progress(min(next(steps), total), total)
        output = request.ask(observation)
        return output if hasattr(output, "value") else Decision(logits_of(output), torch.zeros(len(observation)))

    return choose


def chosen_steps(length: int, first: int, last: int | None = None) -> list[int]:
    """Choose `first` steps spread over the episode or, with `last`, the steps from `first` up to it."""
    if last is None and first <= length:
        return [step * length // first for step in range(first)]
    if last is not None and first < last <= length:
        return list(range(first, last))
    asked = f"{first} steps" if last is None else f"steps {first}:{last}"
    raise InputError(f"The episode is {length} steps long and has no {asked}. Ask for 0:{length} or fewer.")


def describe_episodes(seed: int, episodes: int) -> str:
    """Name the episodes by their seeds."""
    if episodes == 1:
        return f"greedy episode from seed {seed}"
    return f"greedy episodes from seeds {seed} to {seed + episodes - 1}"


def show(network: Any, batch: Batch, row: int, hook: str) -> tuple[View, ...]:
    """Show an observation: a picture of a grid, the state of a table, or named numbers."""
    card, label, values = network.card, batch.labels[row], batch.inputs[row].numpy()
    if values.ndim == 3:
        return (PictureView(grid(card, values), f"{scene(card)} at {label}", label),)
    if card.architecture == TABLE:
        return (LineView(label, f"State {int(values.argmax())} of {values.size}"),)
    return (NumberView(label, tuple(observation_names(card, values.size)), tuple(values.ravel().tolist())),)


def pictures(network: Any, inputs: Any) -> Any:
    """Draw observations that are grids; None for vectors."""
    return None if inputs.ndim == 2 else np.stack([grid(network.card, seen.numpy()) for seen in inputs]) / 255


FORM = Form(
    "Use this episode",
    (NumberField("seed", "Seed of the environment", 0, 2**31 - 1, 0),
     NumberField("steps", "Observations, spread over the episode", 1, 500, 16)),
    lambda values: f"rollout:{values['seed']}:{values['steps']}",
)  # fmt: skip
POLICY = MODALITIES.register("policy")(
    Modality(
        "policy",
        claims=is_policy,
        sources=(
            Source("rollout", "rollout:SEED:N or rollout:SEED:FIRST:LAST", Steps, read_episode),
            Source("explored", "explored:SEED:N (states that random actions lead to)", Draws, read_explored),
            Source("other", "other:SEED (as corrupted inputs: for each state one of another action)", Seed,
                   read_other_actions, corrupts=True),
        ),
        presets=lambda model: tuple(Preset(f"16 steps of episode {n}", f"rollout:{n}:16") for n in range(3)),
        show=show,
        answers=lambda network: action_names(network.card),
        forms=lambda model: (FORM,),
        form_label="Seed",
        pictures=pictures,
        feature_names=observation_names,
        metrics=("value", "signed_value"),
        acts=True,
    )
)  # fmt: skip
