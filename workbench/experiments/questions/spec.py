"""Specifications: questions to a model, as text for files, links and command lines."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from workbench.checkpoints.card import read_card
from workbench.core.errors import ConfigError, InputError, UnknownNameError, short
from workbench.core.metrics import METRICS
from workbench.core.ranges import Seed, check_value
from workbench.core.reading import is_text, read_json
from workbench.experiments.inputs.modality import parse_inputs
from workbench.experiments.questions.budget import require_parameters
from workbench.experiments.questions.defaults import default_corrupted, default_inputs, default_metric
from workbench.experiments.questions.own_metric import is_metric
from workbench.experiments.questions.parameters import as_json, signature_of
from workbench.experiments.questions.spelling import in_text
from workbench.experiments.store.dependencies import canonical, facts_of, key_of


@dataclass(frozen=True)
class Spec:
    """A question to a model. Empty `inputs`, `corrupted` and `metric` stand for the model's defaults.

    `parameters` are those of the analysis, as JSON values; `inputs` and `corrupted` are texts such as `test:0:16`.
    """

    model: str
    analysis: str
    inputs: str = ""
    corrupted: str = ""
    metric: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "parameters", {name: as_json(v) for name, v in self.parameters.items()})

    def __hash__(self) -> int:
        return hash(self.to_json())

    @property
    def key(self) -> str:
        """Hash of everything that the result depends on (see `dependencies.facts_of`)."""
        return key_of(self.facts)

    @property
    def facts(self) -> dict[str, Any]:
        """Everything that the result depends on, as JSON values."""
        return facts_of(self.complete())

    def complete(self) -> Spec:
        """Fill in every default.

        Fields that the analysis does not take are empty, so that they do not change the key.

        Raises:
            WorkbenchError: If the question cannot be asked.
        """
        require_texts({f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("parameters", "seed")})
        card, signature = read_card(self.model), signature_of(self.analysis)
        if self.metric and not is_metric(self.metric):
            raise UnknownNameError("metric", self.metric, METRICS)
        seed = check_value(Seed, self.seed, "The seed")
        takes = signature.injected
        inputs = (self.inputs or default_inputs(self.model)) if "inputs" in takes else ""
        corrupted = self.corrupted
        if not corrupted and takes.get("corrupted"):
            corrupted = default_corrupted(self.model, inputs)
        sources = []
        for text in filter(None, (inputs, corrupted)):
            parsed, source = parse_inputs(text, card)
            parsed.require_budget()
            sources.append(source)
        if inputs and sources[0].corrupts:
            raise InputError(f"{inputs!r} corrupts other inputs and cannot stand alone. Give it as `corrupted`.")
        parameters = signature.complete(self.parameters)
        require_parameters(parameters)
        for name, value in parameters.items():
            for text in value if isinstance(value, list | tuple) else [value]:
                require_texts({name: text} if isinstance(text, str) else {})
        usual = default_metric(self.model, contrast=takes.get("corrupted", False))
        return replace(
            self,
            inputs=inputs,
            corrupted=corrupted if {"corrupted", "metric"} & takes.keys() else "",
            metric=(self.metric or usual) if "metric" in takes else "",
            parameters=parameters,
            seed=seed if "seed" in takes else 0,
        )

    def to_json(self) -> str:
        """Write one line of JSON, always the same for the same question."""
        return canonical(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Spec:
        """Read a specification from the JSON of `to_json`, or from JSON written by hand."""
        return from_fields(read_json(text, "A specification"))

    def as_command(self) -> str:
        """Write the command line of the question."""
        kinds = {name: p.annotation for name, p in signature_of(self.analysis).parameters.items()}
        given = {"model": self.model} | {name: value for name, value in self.differing().items() if name != "model"}
        flags = (as_flag(name, kinds.get(name, str), value) for name, value in given.items())
        return " ".join(["workbench run", shlex.quote(self.analysis), *flags])

    def as_python(self) -> str:
        """Write the Python call of the question."""
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.differing().items())
        return f"workbench.run({self.analysis!r}, {arguments})"

    def differing(self) -> dict[str, Any]:
        """Return the fields that differ from their default, together with the parameters."""
        own = {f.name: (getattr(self, f.name), f.default) for f in fields(self) if f.name != "parameters"}
        plain = {name: value for name, (value, usual) in own.items() if value not in (usual, "") and name != "analysis"}
        return plain | dict(self.parameters)


def from_fields(stored: object) -> Spec:
    """Build a specification from named values: its own fields, and parameters beside them or in `parameters`."""
    if not isinstance(stored, Mapping):
        raise ConfigError(f"A specification is an object with named values, not {short(stored)}.")
    for name in ("model", "analysis"):
        if name not in stored:
            raise InputError(
                f"A specification needs {name!r}; this one has {short(list(stored)) if stored else 'nothing'}."
            )
    own = {f.name: stored[f.name] for f in fields(Spec) if f.name in stored and f.name != "parameters"}
    require_texts({name: value for name, value in own.items() if name != "seed"})
    check_value(Seed, own.get("seed", 0), "The seed")
    nested = stored.get("parameters", {})
    if not isinstance(nested, Mapping):
        raise ConfigError(f"'parameters' of a specification should be named values, not {short(nested)}.")
    beside = {name: value for name, value in stored.items() if name not in own and name != "parameters"}
    for name in (name for name in beside if name in nested):
        raise ConfigError(f"{short(name)} stands in a specification and in its 'parameters' as well. Leave one out.")
    return Spec(**own, parameters={**nested, **beside})


def require_texts(values: Mapping[str, Any]) -> None:
    """Raise a `ConfigError` unless every value is text that files and other programs can hold."""
    for name, value in values.items():
        if not isinstance(value, str) or not is_text(value):
            raise ConfigError(f"{name!r} of a specification should be text, not {short(value)}.")


def as_flag(name: str, annotation: Any, value: Any) -> str:
    """Write a value as a flag; `--name=-1` where `--name -1` would be read as two flags."""
    name = name.replace("_", "-")
    if annotation is bool and isinstance(value, bool):
        return f"--{name}" if value else f"--no-{name}"
    text = in_text(annotation, value)
    return f"--{name}{'=' if text.startswith('-') or not text else ' '}{shlex.quote(text)}"
