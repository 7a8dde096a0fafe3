"""The environment that a trained policy belongs to."""

from __future__ import annotations

from workbench.checkpoints.card import read_card
from workbench.core.errors import InputError
from workbench.core.protocols import World
from workbench.core.registry import RECIPES
from workbench.data.environments import make_vector, native_name
from workbench.experiments.inputs import kind_of

DISCOUNT = 0.99
"""Where the recipe names none."""


def environment_of(model: str) -> str:
    """The name of the environment that a policy was trained in."""
    card = read_card(model)
    if kind_of(card.architecture) != "policy":
        raise InputError(
            f"{model} is no policy, so it plays no episodes. Choose one, such as maze_ppo or cartpole_ppo."
        )
    return card.data.name


def discount_of(model: str) -> float:
    """The discount that a policy was trained with."""
    recipe = read_card(model).recipe
    return float(getattr(RECIPES[recipe].training, "discount", DISCOUNT)) if recipe in RECIPES else DISCOUNT


def world_of(model: str) -> World:
    """The environment of a policy's training, in our vectorised version where there is one, and its discount."""
    name = native_name(environment_of(model))
    return World(name, lambda n, steps: make_vector(name, n, steps), discount_of(model))
