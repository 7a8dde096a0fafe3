"""Questions as users ask them: valid ones made from the registry's signatures, and spoiled ones."""

from __future__ import annotations

import types
from functools import cache
from random import Random
from typing import Any, Literal, get_args, get_origin

from tests.fuzz.words import mutate, number, pick, spoil, text
from workbench.checkpoints.card import read_card
from workbench.core.fitting import missing_axes
from workbench.core.metrics import METRICS
from workbench.core.ranges import items, members, without_range
from workbench.core.registry import ANALYSES, RECIPES
from workbench.experiments.inputs.language import all_sources
from workbench.experiments.inputs.modality import sources_of
from workbench.experiments.questions.defaults import presets
from workbench.experiments.questions.parameters import Parameter, signature_of
from workbench.experiments.questions.settings import kinds
from workbench.experiments.run import loaded

SMALL = {"steps": "2", "episodes": "2", "states": "5", "limit": "20", "generations": "1", "cuts": "3", "controls": "2",
         "resamples": "2", "sampled": "3", "points": "2", "draws": "1", "threshold": "0.02"}  # fmt: skip
"""Values with which work that is accepted is soon over."""


@cache
def hooks(model: str) -> tuple[tuple[str, tuple[str, ...], tuple[int, ...]], ...]:
    """Hook, axes and shape of every activation of a model."""
    network = loaded(model)
    return tuple((info.name, info.axes, info.shape) for info in network.trace(network.example()).values())


def site(rng: Random, model: str) -> str:
    """A site of the model, its index mostly inside."""
    hook, axes, shape = pick(rng, *hooks(model))
    index = [f"{axes[i]}={entry(rng, shape[i])}" for i in range(1, len(axes)) if rng.random() < 0.4]
    return f"{hook}[{','.join(index)}]" if index else hook


def entry(rng: Random, size: int) -> str:
    """An index on an axis."""
    low, high = sorted((rng.randrange(size), rng.randrange(size)))
    return pick(rng, str(low), f"{low}|{high}", f"{low}:{high + 1}", f"-{low + 1}", f"{low}:{size + 35}", number(rng))


def inputs(rng: Random, model: str, often: float = 0.12) -> str:
    """Inputs of a model as text, mostly such as it takes."""
    known = sources_of(read_card(model))
    forms = [preset.inputs for preset in presets(model)] + [preset.corrupted for preset in presets(model)]
    few = next(f"{name}:0:3" for name in ("test", "rollout", "sample") if name in known)
    source = pick(rng, *known, *all_sources())
    other = f"{source}:{number(rng)}:{number(rng)}"
    right = pick(rng, few, few, few, pick(rng, *forms))
    return pick(rng, other, f"{source}:{text(rng)}", spoil(rng, right, 1.0)) if rng.random() < often else right


def value(rng: Random, parameter: Parameter, model: str, often: float = 0.12) -> str:
    """A text for a parameter: what its name and type ask for, or a spoiled one."""
    name = parameter.name
    if name in ("hook", "seen"):
        right = pick(rng, pick(rng, *hooks(model))[0], "*", site(rng, model))
    elif name in ("change", "path", "detail"):
        right = pick(rng, site(rng, model), "", f"{site(rng, model)} -> {site(rng, model)}")
    elif name in ("axis", "axes"):
        right = pick(rng, *pick(rng, *hooks(model))[1], "none", "")
    elif name == "others":
        right = pick(rng, model, f"{model}@1", "cartpole_ppo", "")
    elif name == "method" and "eap" in parameter.choices:
        right = "eap"
    else:
        right = SMALL.get(name) or typed(rng, parameter.annotation)
    return spoil(rng, right, often)


def typed(rng: Random, annotation: Any) -> str:
    """A text that a type can read."""
    kind = without_range(pick(rng, *members(without_range(annotation))))
    if get_origin(kind) is Literal:
        return str(pick(rng, *get_args(kind)))
    if get_origin(kind) is tuple:
        return ",".join(typed(rng, pick(rng, *items(kind))) for _ in range(rng.randrange(3)))
    plain = {int: str(rng.randrange(4)), float: str(rng.random()), bool: "true", types.NoneType: "none"}
    return plain.get(kind, "a")


@cache
def fitting(model: str) -> tuple[str, ...]:
    """The analyses that fit a model."""
    return tuple(name for name in ANALYSES if not missing_axes(ANALYSES[name], loaded(model)))


def question(rng: Random, models: tuple[str, ...]) -> tuple[str, str, dict[str, str]]:
    """An analysis, a model, and its arguments by name as texts."""
    model = pick(rng, *models)
    analysis = pick(rng, *(fitting(model) if rng.random() < 0.9 else ANALYSES))
    signature, often = signature_of(analysis), pick(rng, 0.0, 0.0, 0.05, 0.3)
    given = {name: value(rng, p, model, often) for name, p in signature.parameters.items() if rng.random() < 0.3}
    given |= {
        n: value(rng, p, model, often) for n, p in signature.parameters.items() if p.required or n in (*SMALL, "method")
    }
    for name in ("inputs", "corrupted"):
        if name in signature.injected and rng.random() < 0.7:
            given[name] = inputs(rng, model, often)
    if "metric" in signature.injected and rng.random() < 0.5:
        given["metric"] = spoil(rng, pick(rng, *METRICS), often)
    if "seed" in signature.injected and rng.random() < 0.3:
        given["seed"] = spoil(rng, "1", often)
    if rng.random() < often / 4:
        given[mutate(rng, pick(rng, *(given or {"seed": ""})))] = text(rng)
    return spoil(rng, analysis, often / 5), spoil(rng, model, often / 5), given


def setting(rng: Random, recipe: str) -> str:
    """A setting of a recipe as NAME=VALUE."""
    known = kinds(RECIPES[recipe])
    name = pick(rng, *known)
    right = pick(rng, typed(rng, known[name]), number(rng), "-1", "0")
    return spoil(rng, f"{name}={right}", 0.2)
