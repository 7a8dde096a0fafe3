"""Record of a training in progress, which prevents continuing it with other settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workbench.checkpoints.card import Card, card_of
from workbench.checkpoints.read_values import UNKNOWN
from workbench.checkpoints.sealed import seal, unseal
from workbench.checkpoints.writing import CARD, drop_steps, require_free
from workbench.core.atomic import write_atomically
from workbench.core.errors import CheckpointError, ConfigError, short
from workbench.recipes.identity import run_of

RECORD = "training_run.json"
STATE = "training_state.safetensors"


def claim(folder: Path, settings: Mapping[str, Any], overwrite: bool = False) -> Card | None:
    """Prepare a folder for a training with these settings, new or interrupted.

    Args:
        folder: The folder, locked by this process.
        settings: Everything that determines the weights.
        overwrite: Replace a finished model, and drop an interrupted training with other settings.

    Returns:
        The card, if this training was interrupted after its model had been saved; else None.

    Raises:
        CheckpointError: If the folder holds something else; names the first setting that differs.
    """
    run, stored = run_of(settings), read_record(folder)
    if stored == settings:
        if is_saved(folder, run):
            release(folder)
            return card_of(folder)
        return None
    if not overwrite:
        require_free(folder)
        if states(folder):
            raise CheckpointError(f"{folder} holds {difference(stored, settings)}")
    for state in states(folder):
        state.unlink(missing_ok=True)
    finished = {card_of(folder).run} if (folder / CARD).exists() and is_readable(folder) else set()
    drop_steps(folder, {run, *finished})
    write_atomically(folder / RECORD, seal(settings))
    return None


def release(folder: Path) -> None:
    """Remove the files of a training in progress, the record last."""
    for path in (*states(folder), folder / RECORD):
        path.unlink(missing_ok=True)


def is_saved(folder: Path, run: str) -> bool:
    """Return whether the model of a run is in its folder."""
    return (folder / CARD).exists() and is_readable(folder) and card_of(folder).run == run


def is_readable(folder: Path) -> bool:
    """Return whether a folder's card can be read."""
    try:
        card_of(folder)
    except CheckpointError:
        return False
    return True


def states(folder: Path) -> list[Path]:
    """Return the training states in a folder, one for each part of a training."""
    return sorted(folder.glob(f"*{STATE}"))


def read_record(folder: Path) -> dict[str, Any] | None:
    """Read the settings of the training that runs or was interrupted in a folder; None if there is no record."""
    path = folder / RECORD
    try:
        return unseal(path.read_bytes(), str(path), required=True)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, ConfigError) as error:
        raise CheckpointError(
            f"{path} is not a readable record of a training: {error} Delete it to start again."
        ) from error


def difference(stored: Mapping[str, Any] | None, settings: Mapping[str, Any]) -> str:
    """Describe how an interrupted training differs from the requested one."""
    ways = "choose another folder, or start again with --overwrite (in Python: overwrite=True)."
    if stored is None:
        return f"a training state without a record of its settings. Delete it, {ways}"
    names = sorted((stored.keys() | settings.keys()), key=lambda name: (name in ("code",), name))
    changed = [name for name in names if stored.get(name) != settings.get(name)]
    name, more = changed[0], f" ({len(changed) - 1} other settings differ too)" if len(changed) > 1 else ""
    if name.startswith("value.") and UNKNOWN in str(settings.get(name, stored.get(name))):
        return (
            f"an interrupted training that reads {name.removeprefix('value.')}, whose value cannot be compared with "
            f"what it is now{more}. Keep such objects out of the functions that train, {ways}"
        )
    was, now = (short(table[name]) if name in table else "nothing" for table in (stored, settings))
    return (
        f"an interrupted training with {name}={was}, and this one has {name}={now}{more}. Use the same value to "
        f"continue, {ways}"
    )
