"""Identity of networks in keys: ours by name and files, others by what they compute, whatever they are called."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from workbench.checkpoints.card import Card, names, read_card
from workbench.checkpoints.deserialization import restore
from workbench.checkpoints.foreign import require_unchanged_source
from workbench.checkpoints.present import FOREIGN, present_model
from workbench.checkpoints.source_code import Origin
from workbench.core.errors import WorkbenchError
from workbench.core.hooked import HookedModel
from workbench.core.registry import MODELS, config_type
from workbench.experiments.store.network_facts import NetworkFacts, network_facts

COMPUTED = ("network", "structure", "opened", "opening")
"""Entries on the card of a foreign network that say what it computes."""


def identify(name: str) -> str:
    """Return the name of a network of ours; for another one, a name made of what it computes."""
    if present_model(name) is not None:
        return name
    card = read_card(name.partition("@")[0])
    return str(card.config["label"]) if card.architecture == FOREIGN else name


def object_facts(model: HookedModel) -> dict[str, Any]:
    """Return the facts of a network object: architecture, classes and attributes, weights and tokenizer."""
    found = network_facts(model)
    return describe(model.card.architecture, found.config, found.weights, tokenizer_sha256(model))


def foreign_facts(card: Card, name: str) -> dict[str, Any]:
    """Return the same facts of a foreign network from its card, whose source must be unchanged."""
    require_unchanged_source(card, name)
    config = {name: card.config[name] for name in COMPUTED}
    return describe(FOREIGN, config, card.weights_sha256, card.config["tokenizer"])


def describe(architecture: str, config: Mapping[str, str], weights: str, tokenizer: str) -> dict[str, Any]:
    """Put facts in the form of those of a trained network."""
    about = {"weights": weights, "step": "", "tokenizer": tokenizer, "data": ""}
    return {"architecture": architecture, "config": dict(config), **about}


def label_of(model: HookedModel) -> str:
    """Return the name of a network object, made of everything that it depends on."""
    found = network_facts(model)
    if not (tokenizer := tokenizer_sha256(model)):
        return found.label
    return f"{found.label}-{tokenizer[:4]}"


def network_code(name: str) -> Origin:
    """Return the code that computes a network; a foreign one with code of the user's own is loaded for that."""
    model = present_model(name)
    if model is None:
        card = read_card(name.partition("@")[0])
        if card.architecture != FOREIGN:
            return Origin((MODELS[card.architecture],))
        from workbench.experiments.computing import loaded

        model = loaded(name)
    found = network_facts(model)
    return Origin((type(model), *found.roots), found.versions, tuple(f"{found.network}.{x}" for x in found.unknown))


def tokenizer_sha256(model: HookedModel) -> str:
    """Return the hash of a network's tokenizer; "" without one."""
    return "" if model.tokenizer is None else hashlib.sha256(model.tokenizer.to_json().encode()).hexdigest()


# Networks of ours that are passed as objects


def architecture_of(model: HookedModel) -> str:
    """Return the name of a network's architecture; that of foreign ones if its class is not registered."""
    return next((name for name in MODELS if MODELS[name] is type(model)), FOREIGN)


def trained_name(model: HookedModel) -> str | None:
    """Return the name of the trained network that equals an object bit for bit; None without one.

    It has the same class, settings, weights and attributes, and the same tokenizer if it has any.
    """
    from workbench.experiments.computing import loaded

    architecture, found = architecture_of(model), None
    for name in names() if architecture != FOREIGN else ():
        try:
            card = read_card(name)
            if card.architecture != architecture or not has_config(model, card):
                continue
            other = loaded(name)
        except WorkbenchError:  # a network that cannot be read is not the one that was passed
            continue
        found = found or network_facts(model)
        if same(found, network_facts(other)) and same_tokenizer(model, other):
            return name
    return None


def has_config(model: HookedModel, card: Card) -> bool:
    """Test if a network has the settings on a card."""
    return bool(restore(config_type(type(model)), card.config, "config") == model.cfg)


def same(one: NetworkFacts, other: NetworkFacts) -> bool:
    """Test if two networks of ours compute the same."""
    return not one.unknown and (one.weights, one.structure) == (other.weights, other.structure)


def same_tokenizer(model: HookedModel, other: HookedModel) -> bool:
    """Test if a network has no tokenizer, or that of another one."""
    return model.tokenizer is None or tokenizer_sha256(model) == tokenizer_sha256(other)
