"""Settings of a recipe: the fields of its training, architecture and task, and a few of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from typing import Any, get_type_hints

from workbench.core.errors import InputError, UnknownNameError, short
from workbench.core.ranges import check_value, is_carried
from workbench.experiments.questions.spelling import from_text
from workbench.recipes.recipe import OWN, Recipe


def kinds(recipe: Recipe) -> dict[str, Any]:
    """Map every setting that text can carry to its type."""
    known: dict[str, Any] = {}
    for holder in (recipe.train, recipe.config, recipe.training):
        known |= get_type_hints(type(holder), include_extras=True) if is_dataclass(holder) else {}
    own = get_type_hints(Recipe, include_extras=True)
    return {name: kind for name, kind in (known | {name: own[name] for name in OWN}).items() if is_carried(kind)}


def convert_settings(recipe: Recipe, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Convert JSON values to the types of a recipe's settings.

    Raises:
        UnknownNameError: For a name that is no setting, and for a part of the recipe that no text can carry.
    """
    known = kinds(recipe)
    for name in settings:
        if name not in known:
            raise UnknownNameError("setting", name, known, where=f" in recipe {recipe.name}")
    return {name: check_value(known[name], value, f"{name!r} of {recipe.name}") for name, value in settings.items()}


def from_words(recipe: Recipe, words: Sequence[str]) -> dict[str, Any]:
    """Read the values of `NAME=VALUE`, each as the type of its setting."""
    known, values, given = kinds(recipe), {}, {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals:
            raise InputError(f"{short(word)} sets nothing. Write NAME=VALUE, such as steps=100.")
        if name in given:
            raise InputError(f"{short(name)} is set twice, by {short(given[name])} and {short(word)}. Leave one out.")
        given[name] = word
        values[name] = from_text(known[name], text) if name in known else text
    return convert_settings(recipe, values)
