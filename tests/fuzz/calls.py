"""Calls of the Python interface, valid, with mistakes, and with arguments of other types."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_leaves

import workbench
from tests.fuzz.files import circuit, specification
from tests.fuzz.questions import hooks, inputs, question, site
from tests.fuzz.words import number, pick, spoil, text, value
from workbench.core.errors import Cancelled, short
from workbench.core.registry import ANALYSES, CIRCUITS, MODELS, RECIPES
from workbench.experiments.inputs.reading import read_inputs
from workbench.experiments.questions.parameters import signature_of
from workbench.experiments.questions.settings import convert_settings, from_words
from workbench.experiments.questions.spec import Spec
from workbench.experiments.run import loaded
from workbench.experiments.store.circuit_formats import circuit_json
from workbench.experiments.store.results import ResultStore

Call = tuple[str, Callable[[], Any]]
I = workbench.interventions  # noqa: E741


def call(rng: Random, models: tuple[str, ...], folder: Path) -> Call:
    """One call: a description of it, and the call itself."""
    make = pick(rng, parsed_site, named, edited, edited, swept, cached, asked, asked, analysed, read_text, wrapped,
                shown, built, registered)  # fmt: skip
    return make(rng, models)


def brief(argument: Any) -> str:
    """An argument in a few characters; a network by its kind."""
    return type(argument).__name__ if isinstance(argument, nn.Module) else " ".join(short(argument).split())


def told(name: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Call:
    """A call with its description."""
    words = [*map(brief, args), *(f"{key}={brief(item)}" for key, item in kwargs.items())]
    return f"{name}({', '.join(words)})", partial(function, *args, **kwargs)


def mostly(rng: Random, right: Any, often: float = 0.25) -> Any:
    """The right argument, or something else altogether."""
    return value(rng) if rng.random() < often else right


def parsed_site(rng: Random, models: tuple[str, ...]) -> Call:
    """A site made from text or values, resolved in a model."""
    model = loaded(pick(rng, *models))

    def resolve(given: Any) -> Any:
        return workbench.Site.of(given).resolve(model)

    if rng.random() < 0.5:
        return told("Site.of(...).resolve", resolve, mostly(rng, spoil(rng, site(rng, pick(rng, *models)), 0.5), 0.1))
    hook, axes, _ = pick(rng, *hooks(pick(rng, *models)))
    index = mostly(rng, {pick(rng, *axes): mostly(rng, rng.randrange(9), 0.7)}, 0.1)
    return told("Site(...).resolve", lambda h, i: resolve(workbench.Site(h, i)), mostly(rng, hook, 0.1), index)


def named(rng: Random, models: tuple[str, ...]) -> Call:
    """A function that takes the name of something."""
    name = pick(rng, "load", "read_card", "read", "known_circuit", "read_circuit", "catalog", "names")
    if name in ("catalog", "names"):
        return told(name, getattr(workbench, name))
    if name == "load" and rng.random() < 0.4:
        return told(name, workbench.load, pick(rng, *models), mostly(rng, 1, 0.8))
    right = pick(rng, *models) if name != "known_circuit" else pick(rng, *CIRCUITS)
    return told(name, getattr(workbench, name), mostly(rng, spoil(rng, right, 0.6)))


def intervention(rng: Random, model: Any) -> Any:
    """An intervention, right or wrong; making it may raise."""
    where = mostly(rng, spoil(rng, site(rng, model.card.recipe), 0.15), 0.05)
    hook = pick(rng, *hooks(model.card.recipe))[0]
    example = lambda: model.cache(model.example(), hook)[hook]
    kind = pick(rng, "zero", "mean", "resample", "patch", "steer", "scale", "clamp")
    if kind == "zero":
        return I.zero(where)
    if kind == "resample":
        return I.resample(where, mostly(rng, example()), mostly(rng, torch.Generator(), 0.1))
    if kind in ("mean", "patch"):
        return getattr(I, kind)(where, mostly(rng, example()))
    if kind == "steer":
        return I.steer(where, mostly(rng, torch.ones(4), 0.4), mostly(rng, None, 0.3))
    if kind == "scale":
        return I.scale(where, mostly(rng, 0.5, 0.5))
    return I.clamp(where, mostly(rng, None, 0.5), mostly(rng, 1.0, 0.5))


def function(rng: Random) -> Any:
    """A hook function, or what is none; the errors of a function itself are its author's."""
    given = mostly(rng, lambda x: x * 0, 0.5)
    return given if not isinstance(given, type) and given is not print else lambda x: "nothing"


def edited(rng: Random, models: tuple[str, ...]) -> Call:
    """A model edited by one or two interventions, or by a dict of functions, and run."""
    model, seed, plain = loaded(pick(rng, *models)), rng.randrange(2**32), rng.random() < 0.2
    batch = model.example()
    edits = mostly(rng, {pick(rng, *hooks(model.card.recipe))[0]: function(rng)}, 0.3)

    def run() -> Any:
        draw = Random(seed)
        given = edits if plain else [intervention(draw, model) for _ in range(draw.randrange(1, 3))]
        with model.edited(given):
            return model(batch)

    return told(
        f"edited {model.card.recipe} {seed if not plain else ''}", lambda *_: run(), edits if plain else None, batch
    )


def swept(rng: Random, models: tuple[str, ...]) -> Call:
    """A sweep over a few conditions."""
    model, seed = loaded(pick(rng, *models)), rng.randrange(2**32)
    batch, measure = mostly(rng, model.example(), 0.1), mostly(rng, first_number, 0.2)
    conditions = mostly(rng, None, 0.2)

    def run(batch: Any, measure: Any, conditions: Any) -> Any:
        draw = Random(seed)
        made = [[intervention(draw, model)] for _ in range(3)] if conditions is None else conditions
        return workbench.sweep(model, batch, made, measure)

    return told(f"sweep {model.card.recipe} {seed}", run, batch, measure, conditions)


def first_number(output: Any) -> torch.Tensor:
    """One number for each example."""
    return next(leaf for leaf in tree_leaves(output) if isinstance(leaf, torch.Tensor)).flatten(1)[:, 0]


def cached(rng: Random, models: tuple[str, ...]) -> Call:
    """Activations of some hooks."""
    model = loaded(pick(rng, *models))
    filters = pick(rng, *hooks(model.card.recipe))[0], None, "*", ["*hook_post"], text(rng), [text(rng)]
    function, chosen = pick(rng, model.cache, model.run_with_cache), mostly(rng, pick(rng, *filters), 0.3)
    chosen = None if callable(chosen) else chosen  # a predicate's own errors are its author's
    return told("cache", function, mostly(rng, model.example(), 0.3), chosen)


def stop_soon() -> Callable[[int, int], None]:
    """Progress that lets two steps pass."""
    steps = []

    def report(done: int, total: int) -> None:
        steps.append(done)
        if len(steps) > 2:
            raise Cancelled("enough")

    return report


def asked(rng: Random, models: tuple[str, ...]) -> Call:
    """`workbench.run` with values, some of which are no JSON."""
    analysis, model, given = question(rng, models)
    known = signature_of(analysis).parameters if analysis in ANALYSES else {}
    values: dict[str, Any] = {}
    for name, words in given.items():
        parsed = signature_of(analysis).parse({name: words})[name] if name in known else words
        values[name] = mostly(rng, parsed, 0.15)
    values.pop("progress", None)
    values.pop("analysis", None)
    run: Any = workbench.run
    return told(
        "run", run, mostly(rng, analysis, 0.03), progress=stop_soon(), **({"model": mostly(rng, model, 0.05)} | values)
    )


def analysed(rng: Random, models: tuple[str, ...]) -> Call:
    """An analysis called as a function, with tensors."""
    name, model = pick(rng, *ANALYSES), loaded(pick(rng, *models))
    signature, batch = signature_of(name), model.example()
    made = {"model": model, "inputs": batch, "corrupted": batch, "metric": first_number, "seed": 0,
            "progress": stop_soon(), "load": loaded, "world": None}  # fmt: skip
    arguments = {key: made[key] for key in signature.injected}
    if "inputs" in arguments and rng.random() < 0.3:
        arguments["inputs"] = pick(rng, not_numbers(batch), value(rng))
    for parameter in signature.parameters.values():
        if parameter.required or rng.random() < 0.5:
            hook = pick(rng, *hooks(model.card.recipe))[0]
            arguments[parameter.name] = mostly(rng, hook if parameter.name == "hook" else parameter.default, 0.4)
    flat = signature_of(name).settings
    if flat or (arguments.get("world", 0) is None):  # nested settings and worlds are made by `run`
        return asked(rng, models)
    return told(name, ANALYSES[name], **arguments)


def not_numbers(batch: Any) -> Any:
    """Inputs in which one entry is not a number."""
    if not isinstance(batch, torch.Tensor) or not batch.is_floating_point():
        return batch
    spoiled = batch.clone()
    spoiled.view(-1)[0] = float("nan")
    return spoiled


@cache
def a_circuit() -> str:
    """A circuit as JSON."""
    run: Any = workbench.run
    return circuit_json(run("circuit", model="digits_mlp", inputs="test:0:4", method="eap"))


def read_text(rng: Random, models: tuple[str, ...]) -> Call:
    """A text read as a circuit, a specification, inputs or settings."""
    kind = rng.randrange(4)
    if kind == 0:
        return told("read_circuit", workbench.read_circuit, circuit(rng, a_circuit()))
    if kind == 1:
        return told("Spec.from_json", lambda t: Spec.from_json(t).complete().key, specification(rng, models))
    model = pick(rng, *models)
    if kind == 2:
        return told("read_inputs", lambda t: read_inputs(t, loaded(model)), inputs(rng, model))
    recipe = RECIPES[pick(rng, *models)]
    return told(
        "typed",
        lambda s: recipe.with_settings(convert_settings(recipe, s)),
        {pick(rng, "lr", "steps", "seed", "hidden"): value(rng)},
    )


def wrapped(rng: Random, models: tuple[str, ...]) -> Call:
    """A module of torch opened with an example, or something else opened."""
    module = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    if rng.random() < 0.2:
        return told("from_transformers", workbench.from_transformers, mostly(rng, module, 0.7))
    return told("wrap", workbench.wrap, mostly(rng, module, 0.4), mostly(rng, torch.zeros(2, 3), 0.5))


def shown(rng: Random, models: tuple[str, ...]) -> Call:
    """The figure or table of a result, or of something that is none."""
    function = pick(rng, workbench.figure, workbench.table)
    keys = list(ResultStore().catalog()["key"])
    return told("figure", function, mostly(rng, workbench.read(pick(rng, *keys)) if keys else None, 0.6))


def built(rng: Random, models: tuple[str, ...]) -> Call:
    """A network built from settings of a recipe."""
    name = pick(rng, *models, "mnist_cnn", "shapes_vae", "shapes_gan", "shakespeare_gpt", "cifar10_fast")
    recipe = RECIPES[name]
    from tests.fuzz.questions import setting

    def build(*words: str) -> Any:
        changed = recipe.with_settings(from_words(recipe, words))
        return MODELS[changed.architecture](changed.config)

    return told(f"build {name}", build, *(setting(rng, name) for _ in range(rng.randrange(1, 3))))


def registered(rng: Random, models: tuple[str, ...]) -> Call:
    """Something looked up in a registry."""
    registry = pick(rng, MODELS, ANALYSES, RECIPES, CIRCUITS, workbench.DATASETS)
    return told("registry", lambda n: registry[n], mostly(rng, spoil(rng, number(rng)), 0.5))
