"""Identity of a training: everything that determines the weights of a recipe, as one flat table."""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from types import MethodType
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import gymnasium

from workbench.checkpoints.card import read_card
from workbench.checkpoints.provenance import code_sha256, release
from workbench.checkpoints.read_values import UNKNOWN, unknown_values, values_read_by
from workbench.checkpoints.source_code import OURS, code_of
from workbench.core.registry import DATASETS, MODELS
from workbench.data.environments import rules_sha256
from workbench.training.parallel import place

if TYPE_CHECKING:
    from workbench.recipes.recipe import Recipe

PACKAGES = ("torch", "numpy", "gymnasium")
"""Packages whose version affects the result of a training."""


def settings_of(recipe: Recipe) -> dict[str, Any]:
    """List every setting of a training, the hashes of its data, and the versions of the code that runs it.

    Names are prefixed: `training.lr`, `config.d_model`, `task.batch_size`, `data.digits`. Loads the data sets to hash
    them.
    """
    own = ("architecture", "weights", "bias", "seed", "threads", "dtype")
    settings = {"recipe": recipe.name} | {name: getattr(recipe, name) for name in own}
    settings["processes"] = place()[1]
    for prefix, value in (("config", recipe.config), ("training", recipe.training), ("task", recipe.train)):
        settings |= dict(flatten(prefix, value))
    texts = [value for name, value in settings.items() if name.startswith("task.") and isinstance(value, str)]
    for name in (*recipe.reads, *texts):
        settings |= hash_source(name)
    if recipe.based_on:
        settings[f"model.{recipe.based_on}"] = read_card(recipe.based_on).weights_sha256
    settings |= {f"version.{package}": release(package) for package in PACKAGES}
    settings["code"] = code_sha256(recipe.train)
    return json.loads(json.dumps(settings | own_code(recipe)))


def roots_of(recipe: Recipe) -> list[Any]:
    """List the classes and functions that a training begins with: architecture, recipe, task and callable settings."""
    holders = [holder for holder in (recipe.training, recipe.config, recipe.train) if is_dataclass(holder)]
    values = [getattr(holder, field.name) for holder in holders for field in fields(holder)]
    return [MODELS[recipe.architecture], type(recipe), *filter(callable, (recipe.train, *values))]


def own_code(recipe: Recipe) -> dict[str, str]:
    """Digest the modules of the user's own that train, and the values that their functions read.

    A value that cannot be compared (a lock, an open file) never equals that of an interrupted training.
    """
    roots = roots_of(recipe)
    own = lambda digests: {name: digest for name, digest in digests.items() if name.partition(".")[0] != OURS}
    modules = own(code_of(roots).modules)
    values = own(values_read_by(roots, modules))
    values |= {name: f"{UNKNOWN} {uuid4().hex[:8]}" for name in unknown_values(values)}
    return {f"code.{name}": digest for name, digest in modules.items()} | {
        f"value.{name}": digest for name, digest in values.items()
    }


def run_of(settings: Mapping[str, Any]) -> str:
    """Name a run by the hash of its settings. Runs of the same name have the same weights."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def hash_source(name: str) -> dict[str, str]:
    """Hash the data set or environment of that name; empty if the text names neither."""
    if name in DATASETS:
        return {f"data.{name}": DATASETS[name]().sha256}
    if name in gymnasium.registry:
        return {f"data.{name}": rules_sha256(name)}
    return {}


def flatten(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Flatten a setting to pairs of a dotted name and a JSON value; functions and classes are written by name."""
    if is_dataclass(value) and not isinstance(value, type):
        yield name, type(value).__qualname__
        for field in fields(value):
            yield from flatten(f"{name}.{field.name}", getattr(value, field.name))
    elif isinstance(value, functools.partial):
        given = dict(zip(inspect.signature(value.func).parameters, value.args, strict=False)) | value.keywords
        yield from flatten_function(name, value.func, given)
    elif isinstance(value, MethodType):
        yield from flatten(name, value.__self__)
        yield name, value.__qualname__
    elif callable(value):
        yield from flatten_function(name, value, {})
    elif isinstance(value, Mapping):
        for key, entry in value.items():
            yield from flatten(f"{name}.{key}", entry)
    elif isinstance(value, list | tuple):
        yield name, [dict(flatten("", entry)).get("", str(entry)) for entry in value]
    else:
        yield name, value if isinstance(value, str | int | float | None) else repr(value)


def flatten_function(name: str, value: Callable[..., Any], given: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Write a function by name, with its fixed arguments, its defaults and the variables that it encloses."""
    yield name, f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', type(value).__qualname__)}"
    plain = inspect.unwrap(value)
    enclosed = dict(inspect.getclosurevars(plain).nonlocals) if inspect.isfunction(plain) else {}
    taken = inspect.signature(value).parameters.items() if "." not in name else ()  # of the task itself alone
    defaults = {argument: p.default for argument, p in taken if p.default is not p.empty}
    for argument, fixed in {**enclosed, **defaults, **given}.items():
        yield from flatten(f"{name}.{argument}", fixed)
