"""Comparisons of the settings of one recipe, read from a file; finished trainings are kept.

    # Which optimiser learns fastest?
    recipe = "digits_mlp"
    seeds = [0, 1]
    [settings]
    steps = 200
    [variants.SGD]
    optimizer = "sgd"
    lr = 0.1
    [variants.Adam]
    optimizer = "adam"

asks four trainings: `settings` hold for every variant.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Annotated, Any

import torch
from annotated_types import MinLen

from workbench.checkpoints.card import find_file, models_folder
from workbench.checkpoints.deserialization import restore
from workbench.checkpoints.provenance import commit
from workbench.core.atomic import write_atomically
from workbench.core.errors import ConfigError, InputError, TrainingError, UnknownNameError, short, suggestion
from workbench.core.hooked import HookedModel
from workbench.core.progress import Progress, silent
from workbench.core.ranges import Seed, check_value
from workbench.core.reading import read_json, read_text, read_toml
from workbench.core.registry import RECIPES
from workbench.core.weights import is_weight
from workbench.experiments.pipelines.model_size import require_size
from workbench.experiments.pipelines.pipeline import question_of
from workbench.experiments.questions.settings import convert_settings
from workbench.experiments.store.changes import training_differences
from workbench.experiments.store.data_contents import data_set
from workbench.experiments.store.dependencies import recipe_facts
from workbench.recipes.recipe import Recipe, Session, build
from workbench.training.comparison import Attempt, Comparison, Norms, Variant
from workbench.training.curve import Curve
from workbench.training.sanity import Lesson, gradient_norms

PLANS = Path(__file__).parents[2] / "comparisons"
FIELDS = ("recipe", "seeds", "settings", "variants")


@dataclass(frozen=True)
class Plan:
    """A comparison: settings of a recipe by label, each trained with every seed."""

    name: str
    question: str
    recipe: str
    seeds: tuple[int, ...]
    variants: Mapping[str, Mapping[str, Any]]

    def recipe_of(self, label: str, seed: int) -> Recipe:
        """Return the recipe with a variant's settings."""
        recipe = RECIPES[self.recipe]
        return require_size(recipe.with_settings(convert_settings(recipe, {**self.variants[label], "seed": seed})))


def comparisons() -> dict[str, str]:
    """Map the comparisons that come with the workbench to the first line of their file, their question."""
    return {path.stem: question_of(path) for path in sorted(PLANS.glob("*.toml"))}


def read_plan(name: str) -> Plan:
    """Read the plan of that name, or in the file at that path."""
    if not name.endswith(".toml") and name not in comparisons():
        raise UnknownNameError("comparison", name, comparisons(), where="; a file's name ends in .toml")
    path = Path(name) if name.endswith(".toml") else PLANS / f"{name}.toml"
    stored, where = read_toml(path, "file of a comparison"), short(str(path))
    for field in stored:
        if field not in FIELDS:
            raise ConfigError(f"{where} has {short(field)}. {suggestion(field, FIELDS)}")
    if not stored.get("recipe") or not stored.get("variants"):
        raise InputError(f"{where} needs a recipe and at least one table [variants.LABEL].")
    recipe = check_value(str, stored["recipe"], f"'recipe' of {where}")
    seeds = check_value(Annotated[tuple[Seed, ...], MinLen(1)], stored.get("seeds", (0,)), f"'seeds' of {where}")
    common = require_table(stored.get("settings", {}), f"'settings' of {where}")
    variants = {
        label: {**common, **require_table(own, f"Variant {short(label)} of {where}")}
        for label, own in require_table(stored["variants"], f"'variants' of {where}").items()
    }
    plan = Plan(path.stem, question_of(path), recipe, seeds, variants)
    for label in plan.variants:
        require_lesson(plan.recipe_of(label, plan.seeds[0]))
    return plan


def require_table(value: Any, where: str) -> dict[str, Any]:
    """Return the value, which must be a table of settings."""
    if not isinstance(value, dict):
        raise ConfigError(f"{where} should be a table of settings, not {short(value)}.")
    return value


def require_lesson(recipe: Recipe) -> None:
    """Raise an `InputError` unless the recipe declares the data that its network learns from."""
    if not hasattr(recipe.train, "lesson"):
        known = [name for name in RECIPES if hasattr(RECIPES[name].train, "lesson")]
        raise InputError(f"{recipe.name} does not say what one batch is. Choose one of {', '.join(known)}.")


def stored_at(plan: Plan, folder: Path | None = None) -> Path:
    """Return the path at which a comparison is kept, beside the trained models."""
    return (folder or models_folder() / "comparisons") / f"{plan.name}.json"


def kept_at(plan: Plan, folder: Path | None = None) -> Path:
    """Return the path of a kept comparison, else of the one in the installed package."""
    return stored_at(plan, folder) if folder else find_file(f"comparisons/{plan.name}.json")


def read_comparison(path: Path) -> Comparison:
    """Read a comparison that `compare` kept."""
    stored = {"facts": {}, **read_json(read_text(path, "comparison"), path.name)}  # older files do not have these
    return restore(Comparison, stored, path.name)


def compare(plan: Plan, folder: Path | None = None, progress: Progress = silent) -> Comparison:
    """Train every variant with every seed and keep the outcome.

    A finished training is kept while everything that it depends on is the same: settings, data, code and versions. For
    files that do not record their code, settings and data are compared.
    """
    path, before = stored_at(plan, folder), kept_at(plan, folder)
    found, result = start_of(plan, read_comparison(before) if before.is_file() else None)
    total, done = len(found) * len(plan.seeds), sum(len(v.attempts) for v in found)
    for seed, (place, label) in product(plan.seeds, enumerate(plan.variants)):
        if seed in {attempt.seed for attempt in found[place].attempts}:
            continue
        begin, start = perf_counter(), done
        report: Progress = lambda part, whole, start=start: progress(start * whole + part, total * whole)
        made = attempt(plan.recipe_of(label, seed), seed, report)
        found[place] = replace(found[place], attempts=(*found[place].attempts, made))
        result = replace(result, variants=tuple(found), seconds=result.seconds + perf_counter() - begin)
        write_atomically(path, (json.dumps(result.to_json(), allow_nan=False) + "\n").encode())
        done += 1
    return result


def start_of(plan: Plan, stored: Comparison | None) -> tuple[list[Variant], Comparison]:
    """Pair each variant with its attempts that are still valid, and return the comparison to begin with."""
    current = [variant_of(plan, label) for label in plan.variants]
    outdated = {} if stored is None else outdated_variants(plan, stored)
    earlier = {} if stored is None else {v.label: v for v in stored.variants if v.label not in outdated}
    found = [earlier.get(variant.label, variant) for variant in current]
    recipes = {label: plan.recipe_of(label, plan.seeds[0]) for label in plan.variants}
    data = data_set(recipes[current[0].label].train.dataset).sha256  # type: ignore[attr-defined]
    facts = {label: (stored.facts.get(label, {}) if stored and label in earlier else recipe_facts(recipes[label]))
             for label in plan.variants}  # fmt: skip
    seconds = stored.seconds if stored is not None and earlier else 0.0
    return found, Comparison(plan.name, plan.question, plan.recipe, data, commit(), tuple(found), seconds, facts)


def outdated_variants(plan: Plan, stored: Comparison) -> dict[str, tuple[str, ...]]:
    """Map the variants that have to be trained again to the changes since their training."""
    found: dict[str, tuple[str, ...]] = {}
    for variant in stored.variants:
        if variant.label not in plan.variants:
            continue
        recipe, current = plan.recipe_of(variant.label, plan.seeds[0]), variant_of(plan, variant.label)
        data = data_set(recipe.train.dataset)  # type: ignore[attr-defined]
        because = list(training_differences(stored.facts.get(variant.label, {}), recipe_facts(recipe)))
        if not because and (variant.settings, variant.batch_size) != (current.settings, current.batch_size):
            because.append("settings changed")
        if not because and stored.data != data.sha256:
            because.append(f"data {data.name} changed")
        if because:
            found[variant.label] = tuple(because)
    return found


def variant_of(plan: Plan, label: str) -> Variant:
    """Return a variant without attempts."""
    recipe: Any = plan.recipe_of(label, plan.seeds[0])
    settings = json.loads(json.dumps(dict(plan.variants[label])))
    return Variant(label, settings, recipe.train.batch_size)


def attempt(recipe: Recipe, seed: int, progress: Progress = silent) -> Attempt:
    """Train a variant once from fresh weights; an attempt that fails records the reason."""
    torch.set_num_threads(recipe.threads)
    model = build(recipe)
    lesson = recipe.train.lesson(recipe)  # type: ignore[attr-defined]
    before = layer_gradients(model, lesson)
    with TemporaryDirectory() as scratch:
        session = Session(Path(scratch) / "state", progress, lambda step, m: None)
        try:
            trained = recipe.train(recipe, model, session)
        except TrainingError as error:
            return Attempt(seed, before, {}, Curve(), error=str(error).partition(" The last good state")[0])
    score = trained.metrics["test_accuracy"]
    return Attempt(seed, before, layer_gradients(model, lesson), trained.curve, score["value"], score["n"])


def layer_gradients(model: HookedModel, lesson: Lesson) -> Norms:
    """Compute the gradient norm of every weight, first layer first, on the first batch of training."""
    inputs, targets = lesson.batch(0)
    state = {name: buffer.clone() for name, buffer in model.named_buffers()}
    norms = gradient_norms(model.train(), lesson.loss(model(inputs), targets))
    model.eval().load_state_dict(state, strict=False)  # running statistics as they were
    weights = dict(model.named_parameters())
    return {name: norm for name, norm in norms.items() if is_weight(name, weights[name])}
