"""Checks of a recipe's network against its data, before anything is written and up to the first step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from workbench.core.errors import ConfigError, WorkbenchError, short
from workbench.core.progress import Progress
from workbench.experiments.data_needs import require_recipe_needs
from workbench.recipes.recipe import Recipe, build

MISFITS = (RuntimeError, ValueError, IndexError, KeyError, TypeError, AttributeError)
"""Errors by which torch and numpy answer shapes and numbers that do not fit."""


def require_data_fit(recipe: Recipe) -> Recipe:
    """Return the recipe; raise if its network does not fit its data or the network that it starts from.

    A recipe that declares its batches (`lesson`) is also run on the first one. Costs one forward pass.

    Raises:
        ConfigError: If a setting of the network is not what the data need; names both.
    """
    require_recipe_needs(recipe)
    if not hasattr(recipe.train, "lesson"):
        return recipe
    lesson = recipe.train.lesson(recipe)
    inputs, targets = lesson.batch(0)
    try:
        with torch.no_grad():
            lesson.loss(build(recipe).eval()(inputs), targets)
    except WorkbenchError:
        raise
    except MISFITS as error:
        name = getattr(recipe.train, "dataset", "its data set")
        raise ConfigError(
            f"The network of {recipe.name} does not fit the data {name}: each input has shape "
            f"{tuple(inputs.shape[1:])} and classes go up to {int(targets.max())}, the network is {recipe.config}. "
            "Change the data set, or the settings of the network."
        ) from error
    return recipe


@contextmanager
def until_first_step(recipe: Recipe, progress: Progress) -> Iterator[Progress]:
    """Yield the progress of a training; an error before its first report names the network and its settings."""
    begun = False

    def report(done: int, total: int) -> None:
        nonlocal begun
        begun = True
        progress(done, total)

    try:
        yield report
    except WorkbenchError:
        raise
    except MISFITS as error:
        if begun:
            raise
        said = short(str(error).partition("\n")[0])[1:-1]
        raise ConfigError(
            f"The training of {recipe.name} failed before its first step with {type(error).__name__}: {said}. Its data "
            f"may not fit its network, which is {recipe.config}."
        ) from error
