"""Modality: sources, readers, corruption, presets, views and forms of one kind of inputs, as one object.

Networks, analyses, the command line and the dashboard ask the object for what they need and never compare its name. A
new modality is one file that registers one `Modality`:

    MODALITIES.register("sound")(Modality("sound", claims=with_axes("batch time"), sources=(...), presets=...))
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import unwrap
from typing import Any, get_type_hints

from workbench.checkpoints.card import Card, read_card
from workbench.checkpoints.present import traits_of
from workbench.core.errors import ConfigError, InputError
from workbench.core.registry import DATASETS, MODALITIES
from workbench.experiments.inputs.batches import Batch
from workbench.experiments.inputs.forms import Form
from workbench.experiments.inputs.given_tensors import TENSORS
from workbench.experiments.inputs.language import Inputs, Source, all_sources
from workbench.experiments.inputs.views import View
from workbench.experiments.store.data_contents import data_set

OTHER = "other:0"
"""For each clean example, one of the same kind that has another answer."""
POLICIES = "rl"
"""Family of the networks that act in an environment."""
GRIDS = "convolutional"
"""Trunk of the networks that take grids although their class takes vectors by default."""


@dataclass(frozen=True)
class Preset:
    """Named inputs and the inputs that corrupt them."""

    label: str
    inputs: str
    corrupted: str = OTHER


@dataclass(frozen=True)
class Modality:
    """One kind of inputs.

    Attributes:
        name: Name in the registry, in errors and in links.
        claims: Tests by its card if a network takes inputs of this kind.
        sources: Sources of inputs, in the order in which errors list them.
        presets: Inputs to offer for a trained network, the default first; the network is not loaded.
        show: Views of one example, from the network, the batch, the row and the hook whose activation shades them.
        answers: Names of the choices between which a network decides.
        forms: Forms for inputs of the reader's own, from the name of a network.
        form_label: Button that opens the forms.
        corrupt: Usual corrupted inputs for inputs that are no preset.
        show_answer: Views of a network's answer to one example; none stands for its logits.
        pictures: Inputs as pictures (batch, height, width, channel) in 0..1, or None if they are none.
        feature_names: Names of the numbers of a vector, from the card and their count.
        metrics: Metrics that need an output which only networks of this modality have.
        acts: Networks of this modality act in an environment.
        gives_way: Another modality that claims a network too is the network's own, and this one adds its sources.
    """

    name: str
    claims: Callable[[Card], bool]
    sources: tuple[Source, ...]
    presets: Callable[[str], tuple[Preset, ...]]
    show: Callable[[Any, Batch, int, str], tuple[View, ...]]
    answers: Callable[[Any], list[str]] = lambda network: []
    forms: Callable[[str], tuple[Form, ...]] = lambda model: ()
    form_label: str = "Own input"
    corrupt: Callable[[str, Inputs], str] = lambda model, inputs: OTHER
    show_answer: Callable[[Any, Batch, int], tuple[View, ...]] = lambda network, batch, row: ()
    pictures: Callable[[Any, Any], Any] = lambda network, inputs: None
    feature_names: Callable[[Card, int], list[str]] = lambda card, size: [f"feature {i}" for i in range(size)]
    metrics: tuple[str, ...] = ()
    acts: bool = False
    gives_way: bool = False


def modalities_of(card: Card) -> tuple[Modality, ...]:
    """Return the modalities whose inputs a network takes, its own first.

    Raises:
        ConfigError: If none or several claim the network as their own.
    """
    claiming = [MODALITIES[name] for name in MODALITIES if MODALITIES[name].claims(card)]
    own = [modality for modality in claiming if not modality.gives_way] or claiming
    if len(own) != 1:
        found = " and ".join(repr(modality.name) for modality in own) or "none"
        raise ConfigError(
            f"One modality should claim the architecture {card.architecture!r} on {card.data.name!r} as its own, "
            f"not {found} of {', '.join(MODALITIES)}. Register one for its inputs "
            f"({traits_of(card).input_axes})."
        )
    return (own[0], *(modality for modality in claiming if modality is not own[0]))


def modality_of(card: Card) -> Modality:
    """Return the modality of a network."""
    return modalities_of(card)[0]


def modality_of_model(model: str) -> Modality:
    """Return the modality of the trained network of that name."""
    return modality_of(read_card(model))


def rival_metrics(modality: Modality) -> set[str]:
    """Return the metrics that only networks of other modalities have."""
    return {metric for name in MODALITIES for metric in MODALITIES[name].metrics} - set(modality.metrics)


def sources_of(card: Card) -> dict[str, Source]:
    """Return the sources that a network can read, by name; those of its own modality come first."""
    found: dict[str, Source] = {}
    for modality in modalities_of(card):
        for source in modality.sources:
            found.setdefault(source.name, source)
    found.setdefault(TENSORS.name, TENSORS)
    return found


def parse_inputs(text: str, card: Card) -> tuple[Inputs, Source]:
    """Parse an input text for a network; no file or data set is read.

    Returns:
        The inputs, and the source of one of the network's modalities that reads them.

    Raises:
        InputError: If the network cannot read them.
    """
    known = sources_of(card)
    foreign = isinstance(text, str) and (name := text.partition(":")[0]) not in known and name in all_sources()
    if foreign:
        forms = "; ".join(source.form for source in known.values())
        raise InputError(
            f"This model cannot read {name!r}: its inputs are of kind {modality_of(card).name!r}. Write {forms}."
        )
    inputs = Inputs.parse(text, known)
    return inputs, known[inputs.source]


def with_axes(axes: str, data: type | None = None) -> Callable[[Card], bool]:
    """Claim networks that are no policies by the axes of their inputs and, if given, by the type of their data."""

    def claims(card: Card) -> bool:
        network = traits_of(card)
        fits = network.family != POLICIES and network.input_axes == axes
        return fits and (data is None or has_data_of(card.data.name, data))

    return claims


def is_policy(card: Card) -> bool:
    """Claim networks that act in an environment."""
    return traits_of(card).family == POLICIES


def takes_vectors(card: Card) -> bool:
    """Claim networks whose input is one vector of numbers."""
    return traits_of(card).input_axes == "batch feature" and card.config.get("trunk") != GRIDS


def any_of(*claims: Callable[[Card], bool]) -> Callable[[Card], bool]:
    """Claim networks that one of several functions claims."""
    return lambda card: any(claim(card) for claim in claims)


def has_data_of(name: str, kind: type) -> bool:
    """Test the type of a registered data set; it is read only if its function has no annotation."""
    declared = declared_type(name)
    return declared is kind or (declared is None and name in DATASETS and isinstance(data_set(name), kind))


def declared_type(name: str) -> Any:
    """Return the type that the function of a registered data set declares, else None."""
    return get_type_hints(unwrap(DATASETS[name])).get("return") if name in DATASETS else None
