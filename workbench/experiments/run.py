"""A question is computed once: the answer is stored with its provenance and read back from then on."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import asdict
from functools import lru_cache
from time import perf_counter
from typing import TYPE_CHECKING, Any

import torch

from workbench.checkpoints.card import read_card
from workbench.checkpoints.provenance import provenance
from workbench.checkpoints.store import load
from workbench.core.errors import Cancelled, CheckpointError, InputError, UnknownNameError
from workbench.core.fitting import require_fit
from workbench.core.hooked import HookedModel
from workbench.core.metrics import METRICS, Metric, Question
from workbench.core.progress import Progress, silent
from workbench.core.reading import whole
from workbench.core.registry import ANALYSES
from workbench.experiments.batches import Batch
from workbench.experiments.inputs import read_inputs
from workbench.experiments.parameters import signature_of
from workbench.experiments.spec import Spec
from workbench.experiments.store import ResultStore
from workbench.experiments.worlds import world_of

if TYPE_CHECKING:
    import pandas as pd

_LOADING = threading.Lock()


def run(spec: Spec, progress: Progress = silent, store: ResultStore | None = None) -> Any:
    """The result of a specification: read back when it is stored, else computed and stored.

    While it is computed, the store's catalog says how far it is; whoever cancels it there stops it at its next
    report of progress. Nothing half-done is kept.
    """
    store, spec = store or ResultStore(), spec.completed()
    key = spec.key
    if store.has(key):
        return store.get(key)
    store.start(key, asdict(spec))
    begin = perf_counter()
    try:
        result = compute(spec, reporting(store, key, progress))
        return store.put(key, result, asdict(spec), provenance(perf_counter() - begin))
    except (Cancelled, KeyboardInterrupt):
        store.cancel(key)
        raise
    except BaseException as error:
        store.fail(key, str(error) or type(error).__name__)
        raise


def run_analysis(
    analysis: str,
    model: str,
    inputs: str = "",
    corrupted: str = "",
    metric: str = "logit",
    seed: int = 0,
    progress: Progress = silent,
    **parameters: Any,
) -> Any:
    """The result of an analysis of a trained network: `run_analysis("ablation", model="digits_mlp", hook=...)`.

    `inputs` and `corrupted` are texts such as `test:0:16`; what is left out is the model's usual choice. All other
    names are parameters of the analysis, checked before anything is computed.
    """
    return run(Spec(model, analysis, inputs, corrupted, metric, parameters, seed), progress)


def read(key: str) -> Any:
    """The stored result of that key, or of the only key that begins so; its model is not needed."""
    store = ResultStore()
    return store.get(full_key(key, store))


def catalog() -> pd.DataFrame:
    """One row per stored result, newest first."""
    return ResultStore().catalog()


def full_key(start: str, store: ResultStore) -> str:
    """The one stored key that begins with `start`."""
    keys = list(store.catalog()["key"])
    found = [key for key in keys if key == start or (start and key.startswith(start))]
    if len(found) > 1:
        raise CheckpointError(
            f"{len(found)} stored results begin with {start!r}, such as {found[0]}. Write more of it."
        )
    if not found:
        raise UnknownNameError("stored result", start, keys, where=f" in {store.folder}")
    return found[0]


def reporting(store: ResultStore, key: str, progress: Progress) -> Progress:
    """Progress that the caller and the catalog both see, and that either can stop."""

    def report(done: int, total: int) -> None:
        progress(done, total)
        store.progress(key, done, total)

    return report


def compute(spec: Spec, progress: Progress) -> Any:
    """The result of a completed specification, computed now and not stored."""
    model = loaded(spec.model)
    require_fit(spec.analysis, ANALYSES[spec.analysis], model)
    with model.lock:
        arguments = arguments_of(spec, model, progress)
        return ANALYSES[spec.analysis](**arguments)


def loaded(name: str) -> HookedModel:
    """The trained network, kept in memory while it is among the last four and its weights are those on disk."""
    with _LOADING:  # two threads that want one model get the same, and so wait for one lock
        return _loaded(name, read_card(name).weights_sha256)


def loaded_at(name: str) -> HookedModel:
    """The trained network of that name, or of `name@step` as it was at a step that was kept of its training."""
    name, at, step = name.partition("@")
    if at and whole(step) is None:
        raise InputError(f"{name}@{step} names no step. Write {name}, or {name}@10 for how it was at step 10.")
    return load(name, int(step)) if at else loaded(name)


@lru_cache(maxsize=4)
def _loaded(name: str, weights: str) -> HookedModel:
    return load(name)


def arguments_of(spec: Spec, model: HookedModel, progress: Progress) -> dict[str, Any]:
    """Everything the analysis takes, by name."""
    signature = signature_of(spec.analysis)
    clean = read_inputs(spec.inputs, model) if spec.inputs else None
    corrupted = read_inputs(spec.corrupted, model, clean) if spec.corrupted else None
    made: Mapping[str, Any] = {
        "model": model,
        "inputs": clean and clean.inputs,
        "corrupted": corrupted and corrupted.inputs,
        "world": world_of(spec.model) if "world" in signature.injected else None,
        "load": loaded_at,
        "seed": spec.seed,
        "progress": progress,
    }
    arguments = {name: value for name, value in made.items() if name in signature.injected}
    if spec.metric and clean is not None:
        arguments["metric"] = metric_of(spec.metric, model, clean, corrupted)
    return arguments | signature.arguments(spec.parameters)


@torch.no_grad()
def metric_of(name: str, model: HookedModel, clean: Batch, corrupted: Batch | None) -> Metric:
    """The named metric for these inputs: about their labels, else about the model's own choice on them.

    Labels are classes, so they say nothing of an autoencoder, whose choices are pixels.
    """
    answers = model(clean.inputs)
    other = None if corrupted is None else model(corrupted.inputs)
    targets = None if hasattr(answers, "log_variance") else clean.targets
    return METRICS[name](Question(answers, other, targets, clean.inputs, clean.right))
