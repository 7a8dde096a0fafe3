"""Check on one batch that a recipe's network fits its data, before anything is written."""

from __future__ import annotations

import torch

from workbench.core.errors import ConfigError, WorkbenchError
from workbench.recipes.recipe import Recipe, build


def require_data_fit(recipe: Recipe) -> Recipe:
    """Return the recipe; raise if its fresh network cannot take the first batch of its data.

    A recipe that does not declare its batches is returned as it is. Costs one forward pass.

    Raises:
        ConfigError: If the shape of the inputs or the classes are not those of the network.
    """
    if not hasattr(recipe.train, "lesson"):
        return recipe
    lesson = recipe.train.lesson(recipe)
    inputs, targets = lesson.batch(0)
    try:
        with torch.no_grad():
            lesson.loss(build(recipe).eval()(inputs), targets)
    except WorkbenchError:
        raise
    except (RuntimeError, ValueError, IndexError) as error:
        name = getattr(recipe.train, "dataset", "its data set")
        raise ConfigError(
            f"The network of {recipe.name} does not fit the data {name}: each input has shape "
            f"{tuple(inputs.shape[1:])} and classes go up to {int(targets.max())}, the network is {recipe.config}. "
            "Change the data set, or the settings of the network."
        ) from error
    return recipe
