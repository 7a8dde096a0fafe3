"""Facts that an answer depends on, as one JSON value; its hash is the answer's key.

| fact | what it holds |
|---|---|
| `question` | the completed specification, with the hash of each file of the user's in place of its path |
| `functions` | module and name of the analysis and of the metric |
| `models` | architecture, config and the files' hashes of the model, and of every other one that is named |
| `data` | hash of the contents of the data set that the inputs are read from |
| `environment` | settings of the environment that a policy acts in, and the discount |
| `code` | digest of every module that computes the answer |
| `values` | digests of the globals and enclosed values that a user's own functions read; left out without any |
| `versions` | version of every package that these import |

Not among them: the processor and the number of threads, which change the last digits.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, fields, is_dataclass
from typing import TYPE_CHECKING, Any

from workbench.checkpoints.card import Card, model_folder, names, read_card, split_step, steps_folder
from workbench.checkpoints.packaged import weights_sha256
from workbench.checkpoints.present import FOREIGN, present_model
from workbench.checkpoints.provenance import file_sha256
from workbench.checkpoints.read_values import UNKNOWN, values_read_by
from workbench.checkpoints.source_code import OURS, Code, code_of, definition_of
from workbench.checkpoints.store import TOKENIZER, WEIGHTS, load
from workbench.core.errors import CheckpointError, DataError
from workbench.core.registry import ANALYSES, DATASETS
from workbench.experiments.inputs.modality import modality_of, parse_inputs
from workbench.experiments.inputs.reading import identity
from workbench.experiments.inputs.worlds import discount_of, environment_facts
from workbench.experiments.questions.own_metric import metric_code, metric_definition
from workbench.experiments.questions.parameters import as_json, signature_of
from workbench.experiments.store.changes import differences
from workbench.experiments.store.data_contents import contents_sha256
from workbench.experiments.store.model_identity import foreign_facts, identify, network_code, object_facts
from workbench.recipes.identity import roots_of
from workbench.recipes.recipe import HOLDERS, OWN, Recipe

if TYPE_CHECKING:
    from workbench.experiments.questions.spec import Spec

Facts = Mapping[str, Any]

FORMAT = 2
"""Version of stored results; a new one causes every older result to be computed again."""
GLUE = (
    "workbench.checkpoints.read_values",
    "workbench.experiments.computing",
    "workbench.experiments.data_needs",
    "workbench.experiments.inputs.reading",
    "workbench.experiments.inputs.worlds",
    "workbench.experiments.modalities.tensors",
    "workbench.experiments.questions.own_metric",
    "workbench.experiments.questions.parameters",
    "workbench.experiments.store.data_contents",
    "workbench.experiments.store.model_identity",
)
"""Modules between an analysis and its arguments: their own code counts and their imports do not."""


def facts_of(spec: Spec) -> dict[str, Any]:
    """Return everything that the answer to a completed specification depends on.

    Costs about a millisecond, and some twenty more for the first question of a process; a data set is read when its
    contents are not known yet.
    """
    injected, card = signature_of(spec.analysis).injected, read_card(spec.model)
    inputs = [text for text in (spec.inputs, spec.corrupted) if text]
    readers = [parse_inputs(text, card)[1].read for text in inputs]
    plays = modality_of(card).acts and bool(inputs or "world" in injected)
    world = environment_facts(card.data.name) if plays else None
    discount = {"discount": discount_of(spec.model)} if "world" in injected else {}
    data = {card.data.name: data_fact(card.data.name)} if reads_data(card, inputs) else {}
    named = [spec.model, *(named_models(spec) if "load" in injected else ())]
    origins = [*map(network_code, named), metric_code(spec.metric)]
    sets = [DATASETS[name] for name in data]
    roots = [
        ANALYSES[spec.analysis],
        load,
        "workbench.core.fitting",
        *(root for origin in origins for root in origin.roots),
        *readers,
        *(["workbench.experiments.inputs.worlds"] if "world" in injected else []),
        *(world.modules if world else ()),
    ]
    leaves = (*GLUE, *(world.installed if world else ()))
    code = code_of([*roots, *sets], leaves)
    texts = {"model": identify(spec.model), "inputs": identity(spec.inputs), "corrupted": identity(spec.corrupted)}
    return {
        "format": FORMAT,
        "question": asdict(spec) | texts,
        "functions": {
            "analysis": definition_of(ANALYSES[spec.analysis]),
            "metric": metric_definition(spec.metric),
        },
        "models": {identify(name): model_facts(name) for name in named},
        "data": data,
        "environment": (world.settings if world else {}) | discount,
        "code": code.modules,
        "versions": merge([code.versions, *(origin.versions for origin in origins)]),
        **value_facts(roots, code, leaves, [name for origin in origins for name in origin.unknown], sets),
    }


def merge(tables: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Join several tables, sorted by name."""
    return dict(sorted(item for table in tables for item in table.items()))


def value_facts(
    roots: Iterable[Any],
    code: Code,
    leaves: Iterable[str] = (),
    unknown: Iterable[str] = (),
    sets: Iterable[Any] = (),
) -> dict[str, Any]:
    """Digests of the values that functions of the user's own read, as the fact `values`; nothing without any.

    A value that cannot be compared counts unless only functions of `sets`, whose contents count, read it.
    """
    own = [name for name in code.modules.keys() - set(leaves) if name.partition(".")[0] != OURS]
    of_sets = {name: digest for name, digest in values_read_by(sets, own).items() if digest != UNKNOWN}
    values = of_sets | values_read_by(roots, own) | dict.fromkeys(unknown, UNKNOWN)
    return {"values": values} if values else {}


def key_of(facts: Facts) -> str:
    """Compute the key of the answer that depends on these facts."""
    return hashlib.sha256(canonical(facts).encode()).hexdigest()[:32]


def canonical(value: Any) -> str:
    """Write JSON with sorted names and no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def model_facts(name: str) -> dict[str, Any]:
    """Return the facts of a trained network (`name`, or `name@step`): architecture, config and hashes of its files."""
    if (model := present_model(name)) is not None:
        return object_facts(model)
    name, step = split_step(name)
    card, folder = read_card(name), model_folder(name)
    if card.architecture == FOREIGN:
        return foreign_facts(card, name)
    facts = {
        "architecture": card.architecture,
        "config": card.config,
        "weights": weights_sha256(folder / WEIGHTS),
        "step": "" if step is None else weights_sha256(steps_folder(folder, card.run) / f"{step}.safetensors"),
        "tokenizer": file_sha256(folder / TOKENIZER),
        "data": card.data.name,
    }
    return facts | ({"base": model_facts(base)} if (base := card.config.get("base")) else {})


def named_models(spec: Spec) -> Iterator[str]:
    """Find the trained networks that the parameters of a question name, for an analysis that loads several."""
    known = set(names())
    return (text for text in texts_in(spec.parameters.values()) if text.partition("@")[0] in known)


def texts_in(values: Iterable[Any]) -> Iterator[str]:
    """Yield the texts among JSON values at any depth."""
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            yield from texts_in(value)


def reads_data(card: Card, inputs: list[str]) -> bool:
    """Test if a network's inputs are read from its data set; its tokenizer or its units count as well."""
    name = card.data.name
    return name in DATASETS and any(parse_inputs(text, card)[1].reads_data(name) for text in inputs)


def data_fact(name: str) -> str:
    """Return the hash of a data set; one that is unavailable is an error only when it is used."""
    try:
        return contents_sha256(name)
    except DataError:
        return "unavailable"


def recipe_facts(recipe: Recipe) -> dict[str, Any]:
    """Return everything but the seed that a training by a recipe depends on, as JSON values."""
    holders = {name: holder for name in HOLDERS if is_dataclass(holder := getattr(recipe, name))}
    values = {f"{name}.{f.name}": getattr(holder, f.name) for name, holder in holders.items() for f in fields(holder)}
    values |= {name: getattr(recipe, name) for name in OWN if name != "seed"}
    roots = roots_of(recipe)
    code = code_of(roots)
    name = getattr(recipe.train, "dataset", "")
    return {
        "settings": {name: definition_of(v) if callable(v) else as_json(v) for name, v in values.items()},
        "data": {name: data_fact(name)} if name else {},
        "code": code.modules,
        "versions": code.versions,
        **value_facts(roots, code),
    }


def current_key(models: Iterable[str], inputs: str = "", data: Iterable[str] = ()) -> str:
    """Compute a hash of everything that may change under a running process, as the key of a cache.

    Args:
        models: Names of networks.
        inputs: Inputs of the first of them, read from its data set or from files.
        data: Names of data sets.
    """
    models, named = list(models), set(data)
    if inputs and reads_data(card := read_card(models[0]), [inputs]):
        named.add(card.data.name)
    facts = [[model_facts(name) for name in models], identity(inputs), {name: data_fact(name) for name in named}]
    return hashlib.sha256(canonical(facts).encode()).hexdigest()[:32]


def require_unchanged(before: Facts, spec: Spec) -> None:
    """Raise a `CheckpointError` if a fact has changed since the key was made."""
    if changes := differences(before, facts_of(spec)):
        raise CheckpointError(
            f"{spec.analysis} of {spec.model} was stopped before it began: {', '.join(changes)} in this moment. "
            "Nothing was stored. Run it again."
        )
