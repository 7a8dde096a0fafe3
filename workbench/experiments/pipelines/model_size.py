"""Parameter counts of recipes, computed without allocating the network."""

from __future__ import annotations

import torch

from workbench.core.registry import MODELS
from workbench.experiments.questions.budget import require
from workbench.recipes.recipe import Recipe


def count_parameters(recipe: Recipe) -> int:
    """Count the parameters of a recipe's network without allocating them."""
    with torch.device("meta"):
        model = MODELS[recipe.architecture](recipe.config)
    return sum(parameter.numel() for parameter in model.parameters())


def require_size(recipe: Recipe) -> Recipe:
    """Return the recipe; raise if its network has more parameters than the budget allows."""
    require("parameters", count_parameters(recipe), f"the network of {recipe.name}")
    return recipe
