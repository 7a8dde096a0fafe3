"""A committed network held against its card: what is measured now, from its weights and its data."""

from __future__ import annotations

from dataclasses import dataclass
from math import isclose

from workbench.checkpoints.card import Score
from workbench.checkpoints.store import load
from workbench.core.errors import DataError, InputError
from workbench.core.registry import DATASETS
from workbench.recipes.measuring import measured

TOLERANCE = 0.01
"""Share of a score by which it may differ where the card has no interval: weights on disk are rounded."""


@dataclass(frozen=True)
class Agreement:
    """One metric of a card: the score it says, and the one measured now."""

    metric: str
    card: Score
    now: Score

    @property
    def holds(self) -> bool:
        """Whether the new value lies in the card's interval, or without one within 1 % of the card's value."""
        low, high = self.card.interval or (self.card.value * (1 - TOLERANCE), self.card.value * (1 + TOLERANCE))
        inside = min(low, high) <= self.now.value <= max(low, high)
        return inside or isclose(self.card.value, self.now.value, abs_tol=1e-6)


def evaluate(name: str) -> tuple[Agreement, ...]:
    """Every metric of a trained network's card that can be measured again. Costs one pass over its test data.

    What is about training and not about the network, such as the mean over several seeds, is left out.
    """
    model = load(name)
    card = model.card
    if card.data.name in DATASETS and (found := DATASETS[card.data.name]().sha256) != card.data.sha256:
        raise DataError(
            f"{card.data.name} here is not the data of {name}: its hash is {found[:12]}..., the card says "
            f"{card.data.sha256[:12]}.... Put back the data, or train the model again."
        )
    found_metrics = measured(model, card)
    both = [metric for metric in card.metrics if metric in found_metrics]
    if not both:
        raise InputError(f"Nothing on the card of {name} can be measured again: it has {', '.join(card.metrics)}.")
    return tuple(Agreement(m, card.metrics[m], score_of(found_metrics[m])) for m in both)


def score_of(metric: object) -> Score:
    """A measured metric as a card writes it."""
    found = dict(metric)  # type: ignore[call-overload]
    interval = found.get("interval")
    return Score(float(found["value"]), found["n"], None if interval is None else (interval[0], interval[1]))
