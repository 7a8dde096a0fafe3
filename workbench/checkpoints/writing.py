"""Locking of checkpoint folders, and protection of finished models."""

import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from workbench.checkpoints.card import card_of
from workbench.checkpoints.packaged import require_own
from workbench.core.atomic import explain_write_errors
from workbench.core.errors import CheckpointError

LOCK = ".writing.lock"
"""Empty lock file, which stays; the system releases the lock when the process ends."""
CARD = "card.json"


@contextmanager
def writing(folder: Path, size: int = 0) -> Iterator[None]:
    """Hold a folder, created when it does not exist, against every other writer while the block runs.

    The block may save into the folder, which takes the same lock again. `size` is how many bytes are to be written.

    Raises:
        CheckpointError: If another process or thread writes there, the folder cannot be written, or it belongs to the
            installed package.
    """
    require_own(folder)
    with explain_write_errors(folder / CARD, size):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK, timeout=0, is_singleton=True)
        try:
            lock.acquire()
        except Timeout:
            raise CheckpointError(
                f"Another process trains or saves into {folder}. Wait until it has ended, cancel it, or choose another "
                "folder."
            ) from None
    try:
        yield
    finally:
        lock.release()


def require_free(folder: Path, run: str = "") -> None:
    """Raise CheckpointError if a folder holds a finished model, unless that is of the same `run`."""
    if not (folder / CARD).exists():
        return
    try:
        card = card_of(folder)
    except CheckpointError:
        what = "with a card that cannot be read"
    else:
        if run and card.run == run:
            return
        what = f"{card.title or card.architecture}, made by the recipe {card.recipe} with seed {card.seed}"
    raise CheckpointError(
        f"{folder} holds a finished model ({what}), which would be lost. Choose another folder, or replace it with "
        "--overwrite (in Python: overwrite=True)."
    )


def drop_steps(folder: Path, kept: Collection[str]) -> None:
    """Remove the steps of all runs but `kept`; "" stands for steps of earlier versions, which have no run."""
    steps = folder / "steps"
    if not steps.is_dir():
        return
    for path in steps.iterdir():
        if path.is_dir() and path.name not in kept:
            shutil.rmtree(path, ignore_errors=True)
        elif path.is_file() and "" not in kept:
            path.unlink(missing_ok=True)
