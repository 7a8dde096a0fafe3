"""Recipe of a checkpoint: architecture, data, training, and the targets that the model must reach."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from math import isfinite
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import torch

from workbench.checkpoints.card import Card, DataSource, Score, models_folder
from workbench.checkpoints.provenance import commit, hardware
from workbench.checkpoints.store import save, save_step
from workbench.checkpoints.writing import writing
from workbench.core.allocator import keep_freed_pages
from workbench.core.errors import ConfigError, TrainingError, UnknownNameError
from workbench.core.hooked import HookedModel
from workbench.core.initializers import BIAS_INITIALIZERS, INITIALIZERS, initialize
from workbench.core.progress import Progress, silent
from workbench.core.random import generator, seed_everything
from workbench.core.ranges import Seed, Threads, check_fields
from workbench.core.registry import MODELS, RECIPES
from workbench.recipes.identity import run_of, settings_of
from workbench.recipes.run_record import STATE, claim, release
from workbench.training.curve import Curve
from workbench.training.fit_config import FitConfig
from workbench.training.parallel import is_first, place, wait_for_first

Metrics = Mapping[str, Mapping[str, Any]]
"""Maps names to {"value": number, "n": samples, "interval": 95 % interval, if there is one}."""


@dataclass(frozen=True)
class Session:
    """Arguments of a recipe's training: file of the training state, progress callback, and what keeps early steps."""

    state: Path
    progress: Progress
    keep: Callable[[int, Any], None]


@dataclass(frozen=True)
class Trained:
    """Result of a recipe's training besides the model, which is trained in place.

    `seed` is that of the returned weights if several seeds were trained, else None.
    """

    curve: Curve
    metrics: Metrics
    data: DataSource
    tokenizer: Any = None
    seed: int | None = None


@dataclass(frozen=True)
class Recipe:
    """Settings and functions that make one checkpoint.

    Attributes: name: Name of the recipe and of its checkpoint. title: Short description. architecture: Name of the
    architecture. config: Config of the architecture. training: Config of the training algorithm. train: Trains a model
    in place. targets: Bound of each metric: a maximum if its name ends in `loss`, `error` or `distance`, else a
    minimum. weights: Initialiser of the weights (`core.initializers`); None for the architecture's own. bias:
    Initialiser of the biases. seed: Seeds initialisation and training. threads: Number of torch threads. dtype: Type of
    the stored weights. licence: Licence of the weights. note: Remark on the card. published: Published value of the
    first target, with its source. measure: Computes the card's metrics of a trained network; None if
    `recipes.measuring` can. based_on: Checkpoint whose weights training starts from; "" for none. reads: Data sets and
    environments that training reads and that are not settings of `train`.
    """

    name: str
    title: str
    architecture: str
    config: Any
    training: Any
    train: Callable[[Recipe, HookedModel, Session], Trained]
    targets: Mapping[str, float]
    weights: str | None = None
    bias: str = "zeros"
    seed: Seed = 0
    threads: Threads = 1
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    licence: str = "MIT"
    note: str = ""
    published: str = ""
    measure: Callable[[Recipe, HookedModel], Metrics] | None = None
    based_on: str = ""
    reads: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_fields(self)
        for name, known in ((self.weights, INITIALIZERS), (self.bias, BIAS_INITIALIZERS)):
            if name is not None and name not in known:
                raise UnknownNameError("initializer", name, known)

    def with_settings(self, settings: Mapping[str, Any]) -> Recipe:
        """Copy the recipe with other values for fields of its training, its config, its task, or its own.

        All values are set together, so that only the result must be valid. A shorter run drops the `keep_steps` beyond
        its end unless they are given too.
        """
        holders: dict[str, dict[str, Any]] = {}
        for name, value in settings.items():
            found = [h for h in HOLDERS if name in _field_names(getattr(self, h))] + ["own"] * (name in OWN)
            if not found:
                known = [*(field for h in HOLDERS for field in _field_names(getattr(self, h))), *OWN]
                raise UnknownNameError("setting", name, known, where=f" in recipe {self.name}")
            for holder in {found[0], found[-1]}:
                holders.setdefault(holder, {})[name] = value
        own, training = holders.pop("own", {}), holders.get("training", {})
        if isinstance(self.training, FitConfig) and "steps" in training:
            within = tuple(step for step in self.training.keep_steps if step <= training["steps"])
            training.setdefault("keep_steps", within)
        return replace(self, **own, **{h: replace(getattr(self, h), **values) for h, values in holders.items()})


HOLDERS = ("training", "config", "train")
OWN = ("seed", "threads", "dtype", "weights", "bias")
"""Settings of the recipe itself; `seed` is also set in the training's configuration."""


def _field_names(config: Any) -> list[str]:
    return [f.name for f in fields(config)] if is_dataclass(config) else []


def build(recipe: Recipe) -> HookedModel:
    """Build the network with its initial weights, and seed all random generators."""
    seed_everything(recipe.seed)
    model = MODELS[recipe.architecture](recipe.config)
    if recipe.weights is not None:
        initialize(model, recipe.weights, recipe.bias, generator(recipe.seed, "weights"))
    return model


def make(recipe: Recipe, folder: Path | None = None, progress: Progress = silent, overwrite: bool = False) -> Card:
    """Train a recipe's model and save it with its card and curve.

    An interrupted run with the same settings, data, code and versions continues from the state in the folder. The model
    is saved even if a target is missed.

    Args:
        recipe: The recipe to train.
        folder: Folder of the checkpoint; by default beside the other trained models, under the recipe's name.
        progress: Called with the steps done and all steps; an exception stops the run after its state was stored.
        overwrite: Replace a finished model in the folder, and drop an interrupted training with other settings.

    Returns:
        The card. Of several processes (`training.parallel`), only the first one saves; the cards of the others lack
        config and size.

    Raises:
        CheckpointError: If the folder holds something else, or another process trains there.
        TrainingError: If the training diverged, or a target was missed.
    """
    folder = folder or models_folder() / recipe.name
    require_shareable(recipe)
    commit()  # cached now: the files may change during the run
    keep_freed_pages()
    torch.set_num_threads(recipe.threads)
    settings = settings_of(recipe)
    if not is_first():
        wait_for_first()
        return train_model(recipe, folder, settings, progress)[0]
    with writing(folder):
        saved = claim(folder, settings, overwrite)
        wait_for_first()
        if saved is None:
            card, model, trained = train_model(recipe, folder, settings, progress)
            saved = save(folder, model.eval(), card, trained.curve, trained.tokenizer, overwrite=True)
            release(folder)
    if missed := missed_targets(recipe.targets, saved):
        raise TrainingError(f"{recipe.name} was saved but missed its target: {'; '.join(missed)}.")
    return saved


def train_model(
    recipe: Recipe, folder: Path, settings: Mapping[str, Any], progress: Progress
) -> tuple[Card, HookedModel, Trained]:
    """Train a model; return its unsaved card, the model, and the result of training."""
    model, begin, run = build(recipe), perf_counter(), run_of(settings)
    session = Session(folder / STATE, progress, lambda step, m: _keep(folder, step, m, run, recipe.dtype))
    trained = recipe.train(recipe, model, session)
    card = replace(make_card(recipe, trained, perf_counter() - begin), run=run, settings=select_recorded(settings))
    return card, model, trained


def select_recorded(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that a card has no field for."""
    return {
        name: value for name, value in settings.items() if not name.startswith(("config", "recipe", "architecture"))
    }


def require_shareable(recipe: Recipe) -> None:
    """Raise ConfigError if several processes were started for a training that runs in one."""
    if place()[1] > 1 and not isinstance(recipe.training, FitConfig):
        raise ConfigError(
            f"{recipe.name} trains in one process: {type(recipe.training).__name__} has no batches to share. "
            f"Train it with: workbench train {recipe.name}"
        )


def _keep(folder: Path, step: int, model: HookedModel, run: str, dtype: str) -> None:
    save_step(folder, model, step, run, dtype)


def make_card(recipe: Recipe, trained: Trained, seconds: float) -> Card:
    """Build the card of a finished run; its time includes earlier sessions of a resumed run."""
    measured = trained.curve.series.get("seconds")
    total = trained.curve.last("seconds") if measured else seconds
    return Card(
        architecture=recipe.architecture,
        config={},
        recipe=recipe.name,
        data=trained.data,
        seed=recipe.seed if trained.seed is None else trained.seed,
        metrics={name: _score(name, metric) for name, metric in trained.metrics.items()},
        title=recipe.title,
        commit=commit(),
        wall_time_seconds=round(max(total, seconds), 1),
        hardware=hardware(),
        threads=recipe.threads,
        processes=place()[1],
        licence=recipe.licence,
        dtype=recipe.dtype,
        note=recipe.note,
    )


def _score(name: str, metric: Mapping[str, Any]) -> Score:
    interval = metric.get("interval")
    if not all(map(isfinite, (metric["value"], *(interval or ())))):
        raise TrainingError(
            f"{name} is {metric['value']} after training: the data that it is measured on, or the network's answers, "
            "are not finite. The training state remains; correct the data, or lower lr."
        )
    return Score(metric["value"], metric["n"], None if interval is None else (interval[0], interval[1]))


def missed_targets(targets: Mapping[str, float], card: Card) -> list[str]:
    """Return one sentence for each target that a card's metrics miss."""
    missed = []
    for name, bound in targets.items():
        low_is_good = name.endswith(("loss", "error", "distance"))
        met = operator.le if low_is_good else operator.ge
        if name not in card.metrics or not met(card.metrics[name].value, bound):
            found = card.metrics[name].value if name in card.metrics else "not measured"
            missed.append(f"{name} is {found}, and must be {'at most' if low_is_good else 'at least'} {bound}")
    return missed


def register(recipe: Recipe) -> Recipe:
    """Register a recipe under its name."""
    return RECIPES.register(recipe.name)(recipe)
