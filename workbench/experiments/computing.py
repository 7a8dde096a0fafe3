"""Compute an answer: load the network and the inputs of a specification and call its analysis."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import lru_cache
from math import prod
from typing import Any, TypeVar

import torch

from workbench.checkpoints.card import Card
from workbench.checkpoints.foreign import way_out
from workbench.checkpoints.present import FOREIGN, present_model
from workbench.checkpoints.store import load
from workbench.core.coordinates import Result, list_dims
from workbench.core.errors import CheckpointError, InputError, short
from workbench.core.fitting import require_fit
from workbench.core.hooked import HookedModel
from workbench.core.inputs import explain_input_errors
from workbench.core.metrics import Metric, Question
from workbench.core.progress import Progress
from workbench.core.registry import ANALYSES
from workbench.experiments.data_needs import require_card_needs
from workbench.experiments.inputs.batches import Batch
from workbench.experiments.inputs.modality import modality_of
from workbench.experiments.inputs.reading import read_inputs
from workbench.experiments.inputs.worlds import world_of
from workbench.experiments.questions.budget import require
from workbench.experiments.questions.own_metric import build_metric
from workbench.experiments.questions.parameters import signature_of
from workbench.experiments.questions.spec import Spec
from workbench.experiments.store.dependencies import Facts, canonical, model_facts, reads_data, require_unchanged
from workbench.experiments.store.model_identity import identify, object_facts

T = TypeVar("T")
LONGEST = 40
"""Characters of the name of an example."""
_LOADING = threading.Lock()


def compute(spec: Spec, progress: Progress, facts: Facts | None = None) -> Any:
    """Compute the result of a completed specification; it is not stored.

    Args:
        spec: The completed specification.
        progress: Called with the number of steps done and the number of all.
        facts: What the answer is expected to depend on.

    Raises:
        CheckpointError: If the network or the data it read are not those of `facts` any more.
    """
    model = loaded(spec.model)
    require_fit(spec.analysis, ANALYSES[spec.analysis], model)
    texts = [text for text in (spec.inputs, spec.corrupted) if text]
    if "world" in signature_of(spec.analysis).injected or (texts and depends_on_data(model.card, texts)):
        require_card_needs(model.card, spec.model)
    reading = lambda done, total: progress(0, total)  # it may be stopped, and is no part of the work that is counted
    clean = read_inputs(spec.inputs, model, progress=reading) if spec.inputs else None
    corrupted = read_inputs(spec.corrupted, model, clean, reading) if spec.corrupted else None
    with model.lock.wait_and_hold(lambda: progress(0, 0)):
        with nullcontext() if clean is None else explain_input_errors(model, clean.inputs):
            if clean is not None:
                require_memory(spec, model, clean)
            arguments = arguments_of(spec, model, (clean, corrupted), progress, facts)
        if facts is not None:
            require_unchanged(facts, spec)
        return name_entries(ANALYSES[spec.analysis](**arguments), clean)


def depends_on_data(card: Card, texts: list[str]) -> bool:
    """Test if inputs are read from a network's data, or are rows because its data fit no kind of inputs."""
    modality = modality_of(card)
    return modality.acts or modality.gives_way or reads_data(card, texts)


def name_entries(result: T, batch: Batch | None) -> T:
    """Name the examples of a result by their labels, and its positions by the tokens that all examples share."""
    if batch is None or not isinstance(result, Result):
        return result
    shared = (
        () if batch.sources else tuple("" if len({*row}) > 1 else row[0] for row in zip(*batch.tokens, strict=False))
    )
    names = {"batch": batch.labels, "pos": shared, "query": shared, "key": shared}
    present = list_dims(result)
    shown = {dim: texts for dim, texts in names.items() if (dim, len(texts)) in present}
    return replace(result, labels={dim: tuple(map(cut_text, texts)) for dim, texts in shown.items()})


def cut_text(text: str) -> str:
    """Return the beginning of a text; one of blanks alone is quoted."""
    return f"{text[:LONGEST]}..." if len(text) > LONGEST else text.strip() or (repr(text) if text else "")


def require_memory(spec: Spec, model: HookedModel, batch: Batch) -> None:
    """Raise unless the largest activation of a batch, and all at the hooks asked for, are within the budget."""
    whole = model.probe is not None and model.probe.fixed_batch
    one = batch.inputs if whole else model.take_rows(batch.inputs, torch.zeros(1, dtype=torch.long))
    fired = model.trace(one, on_request=False)
    rows = 1 if whole else len(batch.labels)
    sizes = {name: 4 * rows * prod(info.shape) for name, info in fired.items()}
    asked = [size for name, size in sizes.items() if fnmatchcase(name, str(spec.parameters.get("hook", "")))]
    require("bytes", max(sum(asked), *sizes.values()), f"the activations of {spec.model} on {short(spec.inputs)}")


def loaded(name: str) -> HookedModel:
    """Load a trained network, or `NAME@STEP`; the last four stay in memory while their files are unchanged."""
    if (model := present_model(name)) is not None:
        return model
    with _LOADING:  # two threads that want one model get the same, and so wait for one lock
        return _loaded(name, canonical(model_facts(name)))


@lru_cache(maxsize=4)
def _loaded(name: str, facts: str) -> HookedModel:
    model = load(name)
    if canonical(model_facts(name)) != facts:
        raise CheckpointError(f"The files of {name} changed while they were read. Run it again.")
    require_as_added(name, model)
    return model


def require_as_added(name: str, model: HookedModel) -> None:
    """Raise CheckpointError unless a foreign network computes what it did when it was added."""
    if model.card.architecture != FOREIGN or object_facts(model) == model_facts(name):
        return
    raise CheckpointError(
        f"{name} is not what it was when it was added, though its files are the same: a package that it uses, or this "
        f"process, has another version of its code. Restart the program. {way_out(model.card, name)}"
    )


def loader(facts: Facts | None) -> Callable[[str], HookedModel]:
    """Return the function that loads other networks for an analysis, restricted to those in `facts`."""

    def load_named(name: str) -> HookedModel:
        known = None if facts is None else facts["models"]
        if known is not None and identify(name) not in known:
            raise InputError(
                f"The analysis loads {name!r}, which none of its parameters names, so a stored answer could not tell "
                "when that model changes. Give the analysis a parameter that holds the name."
            )
        model = loaded(name)
        if known is not None and model_facts(name) != known[identify(name)]:
            raise CheckpointError(f"The files of {name} changed since this run began. Run it again.")
        return model

    return load_named


def arguments_of(
    spec: Spec,
    model: HookedModel,
    batches: tuple[Batch | None, Batch | None],
    progress: Progress,
    facts: Facts | None = None,
) -> dict[str, Any]:
    """Collect the arguments of an analysis by name; `batches` are the clean and the corrupted inputs."""
    signature = signature_of(spec.analysis)
    clean, corrupted = batches
    made: Mapping[str, Any] = {
        "model": model,
        "inputs": clean and clean.inputs,
        "corrupted": corrupted and corrupted.inputs,
        "world": world_of(spec.model) if "world" in signature.injected else None,
        "load": loader(facts),
        "seed": spec.seed,
        "progress": progress,
    }
    arguments = {name: value for name, value in made.items() if name in signature.injected}
    if spec.metric and clean is not None:
        arguments["metric"] = metric_of(spec.metric, model, clean, corrupted)
    return arguments | signature.arguments(spec.parameters)


@torch.no_grad()
def metric_of(name: str, model: HookedModel, clean: Batch, corrupted: Batch | None) -> Metric:
    """Build a metric for some inputs from their labels or, without labels, from the model's own answers.

    Labels are classes, so they are not used for an autoencoder, which predicts pixels.
    """
    answers = model(clean.inputs)
    with nullcontext() if corrupted is None else explain_input_errors(model, corrupted.inputs):
        other = None if corrupted is None else model(corrupted.inputs)
    targets = None if hasattr(answers, "log_variance") else clean.targets
    question = Question(answers, other, targets, clean.inputs, clean.right, clean.foils)
    return build_metric(name, question, len(clean.labels))
