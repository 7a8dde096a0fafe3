"""Check a recipe before it is trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.core.progress import Progress, silent
from workbench.core.registry import RECIPES
from workbench.experiments.pipelines.comparison import require_lesson
from workbench.experiments.pipelines.data_fit import require_data_fit
from workbench.experiments.pipelines.model_size import require_size
from workbench.recipes.recipe import build
from workbench.training.check import TrainingCheck, check_training


def check(name: str, settings: Mapping[str, Any], steps: int = 100, progress: Progress = silent) -> TrainingCheck:
    """Overfit one batch and measure a fresh network of a recipe with these settings; nothing is stored."""
    recipe = require_size(RECIPES[name].with_settings(settings))
    require_lesson(recipe)
    require_data_fit(recipe)
    lesson = recipe.train.lesson(recipe)  # type: ignore[attr-defined]
    return check_training(name, build(recipe), lesson, recipe.training, steps, progress)
