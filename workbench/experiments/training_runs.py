"""Trainings in the run log, where any page or command sees how far each is, and can stop it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workbench.checkpoints.card import Card, models_folder
from workbench.core.errors import Cancelled, InputError
from workbench.core.progress import Progress, silent
from workbench.core.registry import RECIPES
from workbench.experiments.run_log import RunLog
from workbench.recipes.recipe import STATE, make
from workbench.training.curve import Curve
from workbench.training.resume import read_state


def train(
    name: str,
    settings: Mapping[str, Any],
    folder: Path | None = None,
    progress: Progress = silent,
    log: RunLog | None = None,
) -> Card:
    """The card of a recipe's model, trained with other settings and saved; goes on where it was interrupted.

    With other settings than the recipe's own, `folder` says where to save. Whoever cancels the run in the log stops
    it at its next step; what it has learned so far stays on disk, and the same call goes on from there.
    """
    plain = RECIPES[name]
    chosen = plain.with_settings(settings)
    if chosen != plain and folder is None:
        raise InputError(
            f"With these settings it is another model than {name}, which would be written over. "
            f"Say where to save it: --folder {models_folder() / f'{name}_2'}"
        )
    folder = folder or models_folder() / name
    log, key = log or RunLog(), key_of(folder)
    log.start(key, spec_of(name, settings, folder))

    def report(done: int, total: int) -> None:
        progress(done, total)
        log.progress(key, done, total)

    try:
        card = make(chosen, folder, report)
    except (Cancelled, KeyboardInterrupt):
        log.cancel(key)
        raise Cancelled(f"Stopped. {folder / STATE} holds what was learned; the same command goes on.") from None
    except BaseException as error:
        log.fail(key, str(error) or type(error).__name__)
        raise
    log.finish(key)
    return card


def key_of(folder: Path) -> str:
    """The run's key: one place is trained in once at a time."""
    return hashlib.sha256(f"train {folder.resolve()}".encode()).hexdigest()[:32]


def spec_of(name: str, settings: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """What the run log says of a training."""
    told = json.loads(json.dumps(dict(settings), default=str))
    return {"analysis": "train", "model": folder.name, "recipe": name, "settings": told, "folder": str(folder)}


def curve_so_far(folder: Path) -> Curve | None:
    """The curve of a training under way or interrupted, as of its last stored state; None where there is none."""
    path = folder / STATE
    if not path.is_file():
        return None
    facts = read_state(path).facts
    return Curve(*facts["curve"]) if "curve" in facts else None
