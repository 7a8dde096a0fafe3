"""Run an analysis, or return its stored result if nothing that it depends on has changed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any
from uuid import uuid4
from weakref import WeakValueDictionary

from workbench.checkpoints.provenance import provenance
from workbench.checkpoints.read_values import unknown_values
from workbench.core.arguments import check_arguments
from workbench.core.errors import CheckpointError, UnknownNameError
from workbench.core.progress import Progress, silent
from workbench.experiments.computing import compute, loaded
from workbench.experiments.objects import name_objects
from workbench.experiments.questions.budget import Budget, allow
from workbench.experiments.questions.spec import Spec
from workbench.experiments.store.changes import differences
from workbench.experiments.store.dependencies import Facts, facts_of, key_of
from workbench.experiments.store.results import ResultStore

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn

    from workbench.core.metrics import Metric

__all__ = ["answer", "catalog", "compute", "full_key", "loaded", "read", "run", "run_analysis"]

PAUSE = 0.2
"""Seconds between two checks on another thread that answers the same question."""
_BEING_ANSWERED: WeakValueDictionary[str, threading.Lock] = WeakValueDictionary()
"""Locks by question; one is dropped once no thread holds it or waits for it."""


@dataclass(frozen=True)
class Answer:
    """A result with its key, a flag for one computed just now, and the reasons why an older one was not used."""

    key: str
    result: Any
    computed: bool
    because: tuple[str, ...] = ()


def run(spec: Spec, progress: Progress = silent, store: ResultStore | None = None) -> Any:
    """Return the result of a specification: read back if it is stored, else computed and stored.

    While it is computed, its progress is in the store's catalog; cancelling it there stops it at its next report of
    progress. No incomplete result is kept.
    """
    return answer(spec, progress, store).result


def answer(spec: Spec, progress: Progress = silent, store: ResultStore | None = None) -> Answer:
    """Answer a specification as `run` does, with the reasons if it was computed.

    One that reads a value that cannot be compared, such as a lock, is computed anew each time.
    """
    store, spec = store or ResultStore(), spec.complete()
    facts = facts_of(spec)
    if unknown := unknown_values(facts.get("values", {})):
        facts |= {"asked": uuid4().hex}  # nobody asks for this key again
        because = (f"the value of {', '.join(unknown)} cannot be compared with that of another run",)
        return Answer(key_of(facts), compute_and_store(spec, facts, progress, store), True, because)
    key = key_of(facts)
    with hold_question(f"{store.folder} {key}", progress):
        if (found := store.find(key)) is not None:
            store.finish(key)
            return Answer(key, found, computed=False)
        because = reasons(spec, facts, store)
        return Answer(key, compute_and_store(spec, facts, progress, store), True, because)


def compute_and_store(spec: Spec, facts: Facts, progress: Progress, store: ResultStore) -> Any:
    """Compute a result and store it with everything that it depends on."""
    key = key_of(facts)
    begin = perf_counter()
    with store.record(key, asdict(spec), progress) as report:
        result = compute(spec, report, facts)
        return store.put(key, result, asdict(spec), provenance(perf_counter() - begin), facts)


def reasons(spec: Spec, facts: Facts, store: ResultStore) -> tuple[str, ...]:
    """List the changes since the newest stored answer to the same question; empty if there is none."""
    older = store.answers_to(asdict(spec))
    if not older:
        return ()
    return differences(older[0].facts, facts) or ("the stored answer cannot be read",)


@contextmanager
def hold_question(key: str, progress: Progress) -> Iterator[None]:
    """Let one thread of this process answer a question at a time; waiting threads can be cancelled."""
    lock = _BEING_ANSWERED.setdefault(key, threading.Lock())
    while not lock.acquire(timeout=PAUSE):
        progress(0, 0)
    try:
        yield
    finally:
        lock.release()


def run_analysis(
    analysis: str,
    model: str | nn.Module,
    inputs: Any = "",
    corrupted: Any = "",
    metric: str | Metric = "",
    seed: int = 0,
    progress: Progress = silent,
    budget: Budget | None = None,
    **parameters: Any,
) -> Any:
    """Run an analysis of a network, or read its result if the same question was answered before.

    A network of yours is identified by its code, its weights and everything else that it holds, so a changed weight,
    input or body of the metric is another question.

    Args:
        analysis: Name of the analysis, as in `workbench.ANALYSES.names()`.
        model: Name of a trained network, a network of ours, what `workbench.wrap` or `workbench.record` returns, or any
            module that runs on `inputs`.
        inputs: Inputs as text, such as "test:0:16", or tensors as the network takes them. By default the model's usual
            inputs, or the example that it was opened with.
        corrupted: Corrupted inputs, likewise. By default the usual ones for the model.
        metric: Name of the metric, or a function from the output to one number per example. By default the model's
            usual metric.
        seed: Seeds everything random.
        progress: Called with the number of finished steps and their total.
        budget: Limits on the size of the request.
        parameters: Parameters of the analysis, checked before anything is computed. `environment` names the
            environment of a policy that is passed as an object.

    Returns:
        The result, a frozen dataclass that is also stored (see `workbench.catalog`).

    Raises:
        UnknownNameError: If a name does not exist; names the nearest one.
        ConfigError: If a parameter is out of range, or the analysis does not fit the model.
        InputError: If the inputs cannot be read or the request exceeds the budget.

    Example:
        >>> ablation = workbench.run("ablation", model="digits_mlp", hook="blocks.0.hook_post", inputs="test:0:16")
        >>> ablation.effect.shape
        torch.Size([64, 16])
        >>> module = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
        >>> model = workbench.wrap(module, torch.randn(2, 4))
        >>> workbench.run("ablation", model=model, hook="1", inputs=torch.randn(16, 4)).effect.shape
        torch.Size([8, 16])
    """
    environment = parameters.pop("environment", "")
    with allow(budget), name_objects(model, inputs, corrupted, metric, environment) as named:
        spec = Spec(named.model, analysis, named.inputs, named.corrupted, named.metric, parameters, seed)
        return run(spec, progress)


@check_arguments
def read(key: str) -> Any:
    """Read a stored result, without its model.

    Args:
        key: Key of the result, or the start of it if no other key starts so.

    Raises:
        UnknownNameError: If no stored result has this key.
        CheckpointError: If several keys start so, or the result is damaged.

    Example:
        >>> ablation = workbench.run("ablation", model="digits_mlp", hook="blocks.0.hook_post", inputs="test:0:16")
        >>> rows = workbench.catalog()
        >>> type(workbench.read(rows[rows.analysis == "ablation"].key.iloc[0])).__name__
        'Ablation'
    """
    store = ResultStore()
    return store.get(full_key(key, store))


def catalog() -> pd.DataFrame:
    """List the stored results as a data frame, newest first.

    Example:
        >>> result = workbench.run("anatomy", model="digits_mlp")
        >>> "anatomy" in set(workbench.catalog().analysis)
        True
    """
    return ResultStore().catalog()


def full_key(start: str, store: ResultStore) -> str:
    """Return the one stored key that begins with `start`."""
    keys = list(store.catalog()["key"])
    found = [key for key in keys if key == start or (start and key.startswith(start))]
    if len(found) > 1:
        raise CheckpointError(
            f"{len(found)} stored results begin with {start!r}, such as {found[0]}. Write more of it."
        )
    if not found:
        raise UnknownNameError("stored result", start, keys, where=f" in {store.folder}")
    return found[0]
