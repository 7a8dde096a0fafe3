"""Trainings, searches and comparisons in the run log, which shows their progress and can stop them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from workbench.checkpoints.card import Card, models_folder
from workbench.core.errors import InputError
from workbench.core.progress import Progress, silent
from workbench.core.registry import RECIPES
from workbench.experiments.pipelines.data_fit import require_data_fit, until_first_step
from workbench.experiments.pipelines.model_size import require_size
from workbench.experiments.store.run_log import RunLog
from workbench.recipes.recipe import make
from workbench.recipes.run_record import STATE
from workbench.training.curve import Curve
from workbench.training.parallel import is_first
from workbench.training.resume import read_state


def train(
    name: str,
    settings: Mapping[str, Any],
    folder: Path | None = None,
    progress: Progress = silent,
    overwrite: bool = False,
) -> Card:
    """Train a recipe's model with other settings and save it; an interrupted run with the same settings continues.

    Cancelling the run in the log stops it at its next step; its state stays on disk for the same call.

    Args:
        name: Name of a recipe.
        settings: Other values for its settings.
        folder: Where to save; required with other settings than the recipe's own.
        progress: Called with the steps done and all steps.
        overwrite: Replace a finished model in the folder, and drop an interrupted training with other settings.

    Returns:
        The card of the saved model.
    """
    plain = RECIPES[name]
    chosen = require_size(plain.with_settings(settings))
    if chosen != plain and folder is None:
        raise InputError(
            f"With these settings it is another model than {name}, which would be written over. "
            f"Say where to save it: --folder {models_folder() / f'{name}_2'}"
        )
    require_data_fit(chosen)
    folder = folder or models_folder() / name
    spec = {
        "analysis": "train",
        "model": folder.name,
        "recipe": name,
        "settings": json.loads(json.dumps(dict(settings), default=str)),
        "folder": str(folder),
    }
    log = RunLog().record(key_of("train", str(folder.resolve())), spec, progress) if is_first() else nullcontext(silent)
    with log as report, until_first_step(chosen, report) as watched:
        return make(chosen, folder, watched, overwrite)


def key_of(kind: str, name: str) -> str:
    """Return the key of a training, a search or a comparison; one of each name runs at a time."""
    return hashlib.sha256(f"{kind} {name}".encode()).hexdigest()[:32]


def curve_so_far(folder: Path) -> Curve | None:
    """Read the curve of an unfinished training from its last stored state; None if there is none."""
    path = folder / STATE
    if not path.is_file():
        return None
    facts = read_state(path).facts
    return Curve(*facts["curve"]) if "curve" in facts else None
