"""Settings that data ask of a network: classes, size of pictures, vocabulary, length, observations and actions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from math import prod
from typing import Any, NamedTuple

import gymnasium

from workbench.checkpoints.card import Card, read_card
from workbench.core.errors import ConfigError, WorkbenchError, short
from workbench.core.registry import DATASETS
from workbench.data.environments import make_vector, native_name
from workbench.data.images.image_data import ImageData
from workbench.data.pairs.pair_data import PairData
from workbench.data.pairs.pair_tokenizer import PAD, START
from workbench.data.tasks.sequences import SequenceData
from workbench.data.text.text_data import TextData
from workbench.experiments.inputs.modality import data_set, declared_type
from workbench.recipes.identity import flatten
from workbench.recipes.recipe import Recipe

FREE = ("dropout", "base", "rank", "alpha")
"""Settings in which a network may differ from the one that it starts from."""


class Need(NamedTuple):
    """Value that a setting must have, or the least one; with an `instead`, another network is needed."""

    value: Any
    least: bool = False
    instead: str = ""

    def met_by(self, given: Any) -> bool:
        """Test if a value of a config, or of its JSON form, is right."""
        given = tuple(given) if isinstance(given, list) else given
        return bool(given >= self.value) if self.least else bool(given == self.value)

    def describe(self, name: str) -> str:
        """Write the setting with its right value."""
        return self.instead or f"{name}{'>=' if self.least else '='}{self.value}"


Needs = Mapping[str, Need]


def sources_of(recipe: Recipe) -> list[str]:
    """List the data sets and environments that a recipe declares: those it reads, and those that its task names."""
    texts = [value for _, value in flatten("task", recipe.train) if isinstance(value, str)]
    return [name for name in dict.fromkeys((*recipe.reads, *texts)) if name in DATASETS or name in gymnasium.registry]


def needs_of(source: str) -> Needs:
    """Return the needs of a data set or an environment; nothing where the network does not follow from the data."""
    if source not in DATASETS:
        return needs_of_environment(source) if source in gymnasium.registry else {}
    if declared_type(source) is TextData:  # its tokenizer is made to fit the network
        return {}
    data = data_set(source)
    if isinstance(data, ImageData):
        return needs_of_images(data)
    if isinstance(data, SequenceData):
        tokens, length = len(data.tokenizer.tokens), data.train_inputs.shape[1]
        return {"d_vocab": Need(tokens, least=True), "n_ctx": Need(length, least=True)}
    if isinstance(data, PairData):
        ids, pairs = data.tokenizer.ids, (data.train, data.validation, data.test)
        longest = max(max(one.source.shape[1], one.target.shape[1] - 1) for one in pairs)
        special = {"start": Need(ids[START]), "pad": Need(ids[PAD])}
        return special | {"d_vocab": Need(len(ids), least=True), "n_ctx": Need(longest, least=True)}
    return {}


def needs_of_images(data: ImageData) -> Needs:
    """Return the shape of the images and the number of classes."""
    classes, of_shape = {"n_classes": Need(len(data.class_names))}, f"for inputs of shape {data.shape}"
    if len(data.shape) == 1:
        of_pictures = Need(None, instead=f"a network of rows, such as mlp, {of_shape}")
        return classes | {"n_features": Need(data.shape[0]), "in_channels": of_pictures}
    channels, size = Need(data.shape[0]), Need(data.shape[1])
    of_rows = Need(None, instead=f"a network of pictures, such as cnn, {of_shape}")
    return classes | {"in_channels": channels, "out_channels": channels, "size": size, "n_features": of_rows}


def needs_of_environment(name: str) -> Needs:
    """Return the shape of the observations and the number of actions."""
    environments = make_vector(native_name(name), 1)
    try:
        seen = tuple(environments.single_observation_space.shape or ())
        actions: Any = environments.single_action_space
        count = {"n_actions": Need(int(actions.n))} if hasattr(actions, "n") else {}
        return count | ({"observation": Need(seen), "n_states": Need(prod(seen))} if seen else {})
    finally:
        environments.close()


def require_needs(config: Mapping[str, Any], needs: Needs, subject: str, source: str) -> None:
    """Raise a `ConfigError` that names every setting which is not as needed, with the right value."""
    wrong = {name: need for name, need in needs.items() if name in config and not need.met_by(config[name])}
    if wrong:
        given = " and ".join(f"{name}={short(config[name])}" for name in wrong)
        right = " and ".join(need.describe(name) for name, need in wrong.items())
        does = "does" if len(wrong) == 1 else "do"
        raise ConfigError(f"{given} of {subject} {does} not fit {source}, which needs {right}.")


def require_kind(recipe: Recipe) -> None:
    """Raise a `ConfigError` if the data set that a task names is of another kind than the task reads."""
    task = getattr(recipe.train, "__self__", recipe.train)
    kind, names = getattr(task, "kind", None), [getattr(task, name, None) for name in ("dataset", "data")]
    name = next((one for one in names if isinstance(one, str)), "")
    if kind is None or not name:
        return
    found = declared_type(name) or type(data_set(name))
    if not issubclass(found, kind):
        fitting = ", ".join(other for other in DATASETS if declared_type(other) is kind)
        raise ConfigError(f"{name} holds {found.__name__}, and {recipe.name} learns from {kind.__name__}: {fitting}.")


def require_recipe_needs(recipe: Recipe) -> None:
    """Raise a `ConfigError` unless a recipe's network fits its data, and the network that it starts from."""
    require_kind(recipe)
    config = asdict(recipe.config)
    for source in sources_of(recipe):
        require_needs(config, needs_of(source), recipe.name, source)
    if recipe.based_on:
        base = read_card(recipe.based_on).config
        same = {name: Need(tuple(x) if isinstance(x, list) else x) for name, x in base.items() if name not in FREE}
        require_needs(config, same, recipe.name, f"the network {recipe.based_on} that it starts from")


def require_card_needs(card: Card, name: str) -> None:
    """Raise a `ConfigError` if the data on a card do not fit its network, such as after they were changed by hand."""
    try:
        needs = needs_of(card.data.name)
    except WorkbenchError:  # what is not here, or not installed, is asked for where it is read
        return
    where = f"{card.data.name}, the data on its card"
    require_needs(card.config, needs, f"the network {name}", where)
