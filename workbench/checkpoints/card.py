"""Card of a trained network: origin, settings, metrics and hashes, readable without its weights."""

import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

from workbench.checkpoints import packaged
from workbench.checkpoints.deserialization import restore
from workbench.checkpoints.packaged import require_own, weights_header, weights_in
from workbench.checkpoints.present import FOREIGN, OBJECT, present_model
from workbench.checkpoints.sealed import seal, unseal
from workbench.core.atomic import write_atomically
from workbench.core.errors import CheckpointError, ConfigError, InputError, UnknownNameError, short
from workbench.core.reading import whole
from workbench.training.curve import Curve

SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""Pattern of the names of models and results; a name without separators stays inside its folder."""


@dataclass(frozen=True)
class Score:
    """Measured value, the number of samples, and its 95 % interval."""

    value: float
    n: int
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class DataSource:
    """Data set of a training; `note` holds remarks such as a lossy copy."""

    name: str
    sha256: str
    note: str = ""


@dataclass(frozen=True)
class Card:
    """Origin and metrics of a checkpoint.

    Attributes: architecture: Name of the architecture. recipe: Name of the recipe. data: Training data. seed: Seed of
    the training. metrics: Scores by name. title: Short description. commit: Commit of the code; "+" for local changes.
    wall_time_seconds: Duration of the training. hardware: Kind of machine. threads: Torch threads per process.
    processes: Number of processes that trained together. licence: Licence of the weights. dtype: Type of floating-point
    weights on disk (float32, bfloat16 or float16); they are float32 in memory. note: Remark. config: Config of the
    architecture. This and the next two are filled in by saving. parameters: Number of parameters. weights_sha256: Hash
    of the file of weights. settings: Everything else that determined the weights (training, task, initialisation, data,
    versions, code). run: Hash of all settings. Both are empty on cards of earlier versions.
    """

    architecture: str
    recipe: str
    data: DataSource
    seed: int
    metrics: dict[str, Score] = field(default_factory=dict)
    title: str = ""
    commit: str = ""
    wall_time_seconds: float = 0.0
    hardware: str = ""
    threads: int = 1
    processes: int = 1
    licence: str = "MIT"
    dtype: str = "float32"
    note: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    parameters: int = 0
    weights_sha256: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    run: str = ""

    def to_json(self) -> bytes:
        """Return the content of `card.json`, which ends with its own hash."""
        return seal(asdict(self))


ADDED: dict[str, Any] = {"settings": {}, "run": ""}
"""Fields that cards of earlier versions lack."""


def models_folder() -> Path:
    """Return the folder for new trained networks, the first of `model_folders()`."""
    return model_folders()[0]


def model_folders() -> list[Path]:
    """Return the folders that hold trained networks; one in an earlier folder hides its namesakes in later ones.

    That is $WORKBENCH_MODELS if it is set, else `models/` of the checkout. An installed package has the user's data
    folder first and then the networks that came with it.
    """
    if chosen := os.environ.get("WORKBENCH_MODELS"):
        return [Path(chosen)]
    if not packaged.FOLDER.is_dir():
        return [packaged.FOLDER.parents[1] / "models"]
    from platformdirs import user_data_path

    return [user_data_path("workbench", appauthor=False) / "models", packaged.FOLDER]


def find_file(name: str) -> Path:
    """Return the first file of that name in the folders of trained networks, or where it would be saved."""
    places = [folder / name for folder in model_folders()]
    return next((path for path in places if path.is_file()), places[0])


def names() -> list[str]:
    """List the names of all trained networks, sorted.

    Example:
        >>> "digits_mlp" in workbench.names()
        True
    """
    cards = {card.parent.name for folder in model_folders() for card in folder.glob("*/card.json")}
    return sorted(name for name in cards if SLUG.fullmatch(name))


def model_folder(name: str) -> Path:
    """Return the folder of the trained network called `name`; raises UnknownNameError if it has no card."""
    if not isinstance(name, str) or not SLUG.fullmatch(name):
        if str(name).startswith(OBJECT):
            raise InputError(
                f"{short(name)} was asked as a Python object, which is not here. Pass the object again, or give the "
                "network a name: workbench add NAME --from SOURCE."
            )
        base, at, step = str(name).partition("@")
        if at and base in names():
            raise InputError(
                f"{short(name)} is a step of the training of {base}. Here a finished model is asked: write {base}. "
                f"Questions take a step: workbench run ANALYSIS --model {base}@{short(step)[1:-1]}."
            )
        raise InputError(
            f"{short(name)} cannot be the name of a model: names are letters, digits, '_', '-' and '.', "
            f"and start with a letter or a digit. {UnknownNameError('model', name, names())}"
        )
    card = find_file(f"{name}/card.json")
    if not card.is_file():
        raise UnknownNameError("trained model", name, names(), where=f" in {models_folder()}")
    return card.parent


def read_card(name: str) -> Card:
    """Read the card of a trained network: architecture, configuration, data, training and measured figures.

    Args:
        name: Name of the network, as in `workbench.names()`, or `NAME@STEP` for a step that its training kept.

    Raises:
        UnknownNameError: If there is no such network.
        CheckpointError: If the card is missing or damaged.

    Example:
        >>> card = workbench.read_card("digits_mlp")
        >>> card.architecture, card.parameters
        ('mlp', 6570)
    """
    found = present_model(name)
    return card_of(model_folder(split_step(name)[0])) if found is None else found.card


def split_step(name: str) -> tuple[str, int | None]:
    """Split `NAME@STEP` into the name of a trained network and a step of its training; None for the finished one.

    Raises:
        UnknownNameError: If there is no such network.
        InputError: If this is no step, or it was not kept; names the nearest one that was.
    """
    base, at, text = name.partition("@") if isinstance(name, str) else (name, "", "")
    if not at or base.startswith(OBJECT):
        return name, None
    kept, step = steps(base), whole(text)
    if step in kept:
        return base, step
    if not kept:
        raise InputError(f"{base} has no steps: its training kept none, so there is no {short(name)}. Write {base}.")
    close = min(kept, key=lambda known: (abs(known - (step or 0)), known))
    raise InputError(
        f"The training of {base} kept no step {short(text)}. Did you mean {base}@{close}? It kept {len(kept)} steps, "
        f"from {kept[0]} to {kept[-1]}."
    )


def card_of(folder: Path) -> Card:
    """Read the card in a checkpoint's folder."""
    path, where = folder / "card.json", f"{folder.name}/card.json"
    try:
        return restore(Card, ADDED | unseal(path.read_bytes(), where), where)
    except FileNotFoundError:
        raise CheckpointError(
            f"{folder} has no card.json: it is no checkpoint, or saving it was interrupted. Train it again."
        ) from None
    except (ValueError, ConfigError) as error:
        raise CheckpointError(
            f"{path} is not a readable card: {error} Restore the file, or train the model again. "
            f"A change that is intended is confirmed by: workbench seal {folder.name}"
        ) from error


def require_finite(card: Card, where: str) -> None:
    """Raise a `ConfigError` if a score on a card is not a number."""
    for name, score in card.metrics.items():
        if not all(map(isfinite, (score.value, *(score.interval or ())))) or score.n < 0:
            raise ConfigError(f"{where}: the score {name} is {score.value} of {score.n} samples, {score.interval}.")


def seal_card(name: str, check: Callable[[Card], None] = lambda card: None) -> Card:
    """Give the card of a trained network the hash of its present text, whatever hash it has.

    Args:
        name: Name of the network.
        check: Raises a `ConfigError` if the card should not be sealed.

    Returns:
        The card, all of whose scores are finite.
    """
    path, where = model_folder(name) / "card.json", f"{name}/card.json"
    require_own(path.parent)
    try:
        card = restore(Card, ADDED | unseal(path.read_bytes(), where, checked=False), where)
        require_finite(card, where)
        check(card)
    except (ValueError, ConfigError) as error:
        raise CheckpointError(f"{path} is not a readable card: {error} Correct it first.") from error
    write_atomically(path, card.to_json())
    return card


def read_curve(name: str) -> Curve:
    """Read the training curve of the trained network called `name` and verify its hash.

    That of a foreign network is empty.
    """
    if read_card(name).architecture == FOREIGN:
        return Curve()
    path = model_folder(split_step(name)[0]) / "curve.json"
    try:
        content = path.read_bytes()
        curve = Curve.from_json(content.decode("utf-8-sig"))
        lengths = {series: len(column) for series, column in curve.series.items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path} is not a readable training curve: {error}. Restore the file.") from error
    if wrong := [series for series, length in lengths.items() if length != len(curve.step)]:
        raise CheckpointError(
            f"{path}: {wrong[0]!r} has {lengths[wrong[0]]} values for {len(curve.step)} steps. Restore the file."
        )
    about = weights_header(path.with_name("weights.safetensors"))
    if hashlib.sha256(content).hexdigest() != about.get("curve.json_sha256"):
        raise CheckpointError(f"{path} was altered: it is not the curve that was saved with the weights. Restore it.")
    return curve


def steps_folder(folder: Path, run: str) -> Path:
    """Return the folder of a run's early steps, named after the run so that two runs never mix."""
    return folder / "steps" / run if run else folder / "steps"


def steps(name: str) -> list[int]:
    """List the training steps at which the network was kept, ascending."""
    folder = model_folder(name)
    kept = weights_in(steps_folder(folder, card_of(folder).run))
    return sorted(step for file in kept if (step := whole(Path(file).stem)) is not None)
