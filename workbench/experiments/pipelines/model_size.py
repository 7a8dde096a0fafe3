"""The size of a network that a recipe would make, known before it takes any memory."""

from __future__ import annotations

import torch

from workbench.core.registry import MODELS
from workbench.experiments.questions.budget import require
from workbench.recipes.recipe import Recipe


def count_parameters(recipe: Recipe) -> int:
    """Count the parameters of a recipe's network; no memory is taken for them."""
    with torch.device("meta"):
        model = MODELS[recipe.architecture](recipe.config)
    return sum(parameter.numel() for parameter in model.parameters())


def require_size(recipe: Recipe) -> Recipe:
    """Return the recipe; raise if its network has more parameters than the budget allows."""
    require("parameters", count_parameters(recipe), f"the network of {recipe.name}")
    return recipe
