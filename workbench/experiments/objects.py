"""Questions about objects: a network, tensors and a metric of the caller's own, asked like those with names.

1. Open the network: one of ours as it is, any other module by `workbench.record`, else by `workbench.wrap`.
2. Name it by what it computes; one that equals a trained network has that network's name.
3. Keep tensors as a file named by their contents.

The specification that follows holds texts alone, so that the result is stored and read like any other.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

import gymnasium
from torch import Tensor, nn

from workbench.checkpoints.card import Card, DataSource
from workbench.checkpoints.foreign import open_as
from workbench.checkpoints.present import FOREIGN, Present, present
from workbench.core.errors import InputError, UnknownNameError, short
from workbench.core.hooked import HookedModel
from workbench.core.tape_model import TapeModel
from workbench.core.wrap import WrappedModel
from workbench.core.wrappable import require_wrappable
from workbench.experiments.inputs.given_tensors import keep_tensors
from workbench.experiments.inputs.modality import POLICIES
from workbench.experiments.questions.own_metric import name_metric
from workbench.experiments.store.model_identity import (
    architecture_of,
    label_of,
    network_facts,
    tokenizer_sha256,
    trained_name,
)


@dataclass(frozen=True)
class Named:
    """Texts that stand for the objects of a question in its specification."""

    model: str
    inputs: str
    corrupted: str
    metric: str


@contextmanager
def name_objects(
    model: Any, inputs: Any = "", corrupted: Any = "", metric: Any = "", environment: str = ""
) -> Iterator[Named]:
    """Name the objects of a question while it is asked.

    Args:
        model: Name of a trained network, a `HookedModel`, or any module on the processor.
        inputs: Input text, or tensors as the network takes them.
        corrupted: The same, to compare with.
        metric: Name of a metric, or a named function from the output to one number per example.
        environment: Environment of a policy that is passed as an object.

    Yields:
        The texts of the specification. They stand for the objects inside the block and in this thread.
    """
    if not isinstance(environment, str):
        raise InputError(f"environment={short(environment)} is no text. Give the id of an environment of gymnasium.")
    clean, other = name_inputs(inputs, "inputs"), name_inputs(corrupted, "corrupted")
    opened = model if isinstance(model, str | HookedModel) else open_module(model, inputs)
    try:
        name, networks = name_network(opened, environment)
        metrics = {} if isinstance(metric, str) else {name_metric(metric): metric}
        with present(Present(networks, metrics)):
            yield Named(name, clean, other, next(iter(metrics), metric))
    finally:
        if isinstance(opened, WrappedModel) and opened is not model:
            opened.close()


def name_inputs(inputs: Any, what: str) -> str:
    """Return the text of some inputs; tensors are kept as a file for it."""
    return inputs if isinstance(inputs, str) else keep_tensors(inputs, what)


def open_module(module: Any, example: Any) -> HookedModel:
    """Open a module that is passed with tensors: recorded where that is possible, else with hooks on its submodules."""
    if not isinstance(module, nn.Module):
        raise InputError(
            f"model={short(module)} is no network. Pass the name of a trained one, a module of torch, or what "
            "workbench.wrap or workbench.record returns."
        )
    if isinstance(example, str):
        raise InputError(
            f"A plain {type(module).__name__} needs an example to be opened with: pass tensors as inputs=, or "
            "model=workbench.wrap(module, example)."
        )
    require_here(module)
    require_wrappable(module)
    return open_as("", module, example)


def require_here(module: nn.Module) -> None:
    """Raise InputError for a network that is not on the processor, where inputs are read."""
    places = {str(x.device) for x in (*module.parameters(), *module.buffers())} - {"cpu", "meta"}
    if places:
        raise InputError(
            f"This {type(module).__name__} is on {' and '.join(sorted(places))}, and questions are answered on the "
            "processor. Move it there: model.cpu()."
        )


def name_network(model: str | HookedModel, environment: str) -> tuple[str, dict[str, HookedModel]]:
    """Return the name of a network in the specification, and the object that stands under it, if any."""
    if isinstance(model, str):
        if environment:
            raise InputError(f"{model} has the environment of its training. Leave out environment={environment!r}.")
        return model, {}
    require_here(model)
    require_wrappable(model)
    require_unedited(model)
    if not environment and (name := trained_name(model)) is not None:
        return name, {}
    view = copy(model)
    view.card = card_of_object(model, environment)
    name = label_of(view)
    if view.card.architecture == FOREIGN:
        view.card = replace(view.card, config=view.card.config | {"label": name})
    return name, {name: view}


def require_unedited(model: HookedModel) -> None:
    """Raise InputError for a network that is being edited, since edits are no part of what identifies it."""
    if model.router.active_hooks is not None:
        raise InputError(
            f"This {type(model).__name__} is asked while it is edited or its activations are taken, and the result "
            "would be stored as that of the network alone. Ask outside of the `with model.edited(...)` block."
        )


def card_of_object(model: HookedModel, environment: str) -> Card:
    """Return a card for a network object: its own, or one that says what is known of it."""
    if environment and environment not in gymnasium.registry:
        raise UnknownNameError("environment", environment, gymnasium.registry)
    if model.card is not None:
        data = DataSource(environment, "") if environment else model.card.data
        return replace(model.card, data=data, weights_sha256="", run="")
    architecture = architecture_of(model)
    config = foreign_config(model, environment) if architecture == FOREIGN else {}
    return Card(architecture, "", DataSource(environment, ""), 0, config=config)


def foreign_config(model: HookedModel, environment: str) -> dict[str, Any]:
    """Return what the card of a foreign network says in place of the settings of an architecture."""
    example = model._example if isinstance(model, TapeModel) else model.example()
    vectors = isinstance(example, Tensor) and example.ndim == 2 and example.is_floating_point()
    return network_facts(model).config | {
        "family": POLICIES if environment else model.family,
        "input_axes": "batch feature" if vectors else "",
        "example": keep_tensors(example, "The example"),
        "tokenizer": tokenizer_sha256(model),
    }
