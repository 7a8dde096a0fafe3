"""Environments of trained policies: name, discount, constructor, and facts that results depend on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import gymnasium

from workbench.checkpoints.card import read_card
from workbench.checkpoints.source_code import module_of
from workbench.core.errors import InputError
from workbench.core.protocols import World
from workbench.core.registry import RECIPES
from workbench.data.environments import make_vector, native_name
from workbench.experiments.inputs.modality import modality_of

DISCOUNT = 0.99
"""Discount if the recipe names none."""


def environment_of(model: str) -> str:
    """Return the name of the environment that a policy was trained in."""
    card = read_card(model)
    if not modality_of(card).acts:
        raise InputError(
            f"{model} is no policy, so it plays no episodes. Choose one, such as maze_ppo or cartpole_ppo."
        )
    return card.data.name


def discount_of(model: str) -> float:
    """Return the discount that a policy was trained with."""
    recipe = read_card(model).recipe
    return float(getattr(RECIPES[recipe].training, "discount", DISCOUNT)) if recipe in RECIPES else DISCOUNT


def world_of(model: str) -> World:
    """Return the environment of a policy's training, vectorized if we implement it, and its discount."""
    name = native_name(environment_of(model))
    return World(name, lambda n, steps: make_vector(name, n, steps), discount_of(model))


@dataclass(frozen=True)
class EnvironmentFacts:
    """Everything that decides the behaviour of an environment: its settings by name, and the modules of its rules.

    `installed` are modules of gymnasium itself, for which its version stands as well.
    """

    settings: dict[str, Any]
    modules: tuple[str, ...]
    installed: tuple[str, ...]


def environment_facts(name: str) -> EnvironmentFacts:
    """Return the facts of an environment and of our vectorized version; empty for an unknown one."""
    names = dict.fromkeys((name, native_name(name)))
    specs = [gymnasium.registry[known] for known in names if known in gymnasium.registry]
    settings = {spec.id: {"kwargs": repr(spec.kwargs), "max_episode_steps": spec.max_episode_steps} for spec in specs}
    entries = [entry for spec in specs for entry in (spec.entry_point, spec.vector_entry_point) if entry]
    found = {module for entry in entries for module in modules_of(entry)}
    theirs = {module for module in found if module.partition(".")[0] == "gymnasium"}
    return EnvironmentFacts(settings, tuple(sorted(found - theirs)), tuple(sorted(theirs)))


def modules_of(entry: str | Callable[..., Any]) -> Iterator[str]:
    """Yield the modules that an entry point of gymnasium names."""
    if isinstance(entry, str):
        yield entry.partition(":")[0]
    elif isinstance(entry, partial):
        yield from modules_of(entry.func)
    else:
        yield module_of(entry)
