"""Parameter counts of recipes, computed without allocating the network."""

from __future__ import annotations

from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from workbench.core.registry import MODELS
from workbench.experiments.questions.budget import require
from workbench.recipes.recipe import Recipe

RANDOM = {"normal_", "uniform_"}
"""Functions and methods by which initializers fill weights."""


class NoInitialization(TorchFunctionMode):
    """Leave tensors as they are where an initializer would fill them, for which "meta" tensors import a compiler."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") in RANDOM:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def count_parameters(recipe: Recipe) -> int:
    """Count the parameters of a recipe's network without allocating them."""
    with NoInitialization(), torch.device("meta"):
        model = MODELS[recipe.architecture](recipe.config)
    return sum(parameter.numel() for parameter in model.parameters())


def require_size(recipe: Recipe) -> Recipe:
    """Return the recipe; raise if its network has more parameters than the budget allows."""
    require("parameters", count_parameters(recipe), f"the network of {recipe.name}")
    return recipe
