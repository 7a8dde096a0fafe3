"""Networks and metrics of the caller, which stand under a name while a question about them is answered."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from workbench.core.registry import MODELS

if TYPE_CHECKING:
    from workbench.core.hooked import HookedModel

FOREIGN = "foreign"
"""Architecture on the card of a network that none of the registered classes computes."""

OBJECT = "object:"
"""Start of the name of a network that is passed as an object, which no folder can have."""


@dataclass(frozen=True, eq=False)
class Present:
    """Networks and metrics by name.

    Attributes:
        models: Networks, each with its card.
        metrics: Functions from an output to one number per example.
    """

    models: Mapping[str, HookedModel] = field(default_factory=dict)
    metrics: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)


NOTHING = Present()
_PRESENT: ContextVar[Present] = ContextVar("present", default=NOTHING)


@contextmanager
def present(things: Present) -> Iterator[None]:
    """Let networks and metrics stand under their names inside the block, in this thread."""
    token = _PRESENT.set(things)
    try:
        yield
    finally:
        _PRESENT.reset(token)


def present_model(name: str) -> HookedModel | None:
    """Return the network of the caller that stands under a name now; None without one."""
    return _PRESENT.get().models.get(name) if isinstance(name, str) else None


def present_metric(name: str) -> Callable[[Any], Any] | None:
    """Return the metric of the caller that stands under a name now; None without one."""
    return _PRESENT.get().metrics.get(name) if isinstance(name, str) else None


class Traits(NamedTuple):
    """Family of a network, and the axes of its inputs."""

    family: str
    input_axes: str


def traits_of(card: Any) -> Traits:
    """Return family and input axes of a network by its card; those of a foreign one are written there."""
    if card.architecture == FOREIGN:
        return Traits(card.config["family"], card.config["input_axes"])
    network: Any = MODELS[card.architecture]
    return Traits(network.family, network.input_axes)
