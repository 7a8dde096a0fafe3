"""Evaluation of a committed network: metrics measured again and compared with its card."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import hypot, isclose, sqrt
from statistics import NormalDist

from workbench.checkpoints.card import Score, model_folder, read_card
from workbench.checkpoints.provenance import commit
from workbench.checkpoints.store import load
from workbench.checkpoints.writing import writing
from workbench.core.atomic import write_atomically
from workbench.core.errors import DataError, InputError
from workbench.core.registry import DATASETS
from workbench.recipes.measuring import measure

TOLERANCE = 0.01
"""Share of a score by which it may differ where neither the card nor the measurement has an interval: weights on disk
are rounded."""
SAME_ROWS_TOLERANCE = 0.001
"""The same of float32 weights, measured on the same rows: only the order of sums differs."""
SAME_ROWS = re.compile(
    r"(test|validation|whole|exact|optimal|base)_\w+|(character|date|phoneme|word|sentence)_error|.*bits_per_byte"
)
"""Metrics measured on fixed rows without anything random, so that chance explains no difference."""
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Agreement:
    """A metric of a card: its recorded score and the new one; `of` metrics are compared together."""

    metric: str
    card: Score
    now: Score
    of: int = 1
    tolerance: float = TOLERANCE

    @property
    def is_exact(self) -> bool:
        """Return whether both scores were measured on the same rows, with nothing random."""
        return self.card.n == self.now.n and SAME_ROWS.fullmatch(self.metric) is not None

    @property
    def holds(self) -> bool:
        """Test if chance explains the difference, by the intervals of both scores.

        If the card has no interval, that of the new measurement is used for both, for the card's number of samples.
        Scores on the same rows may differ by rounding alone. Among many metrics each may differ more, so that in 95 %
        of comparisons no metric disagrees by chance.
        """
        if self.is_exact:
            least = 1.5 / self.now.n if self.metric.endswith(("accuracy", "error")) else 1e-5  # one answer at a tie
            return isclose(self.card.value, self.now.value, rel_tol=self.tolerance, abs_tol=least)
        gap = self.now.value - self.card.value
        half = half_width(self.now, -gap)
        card_half = half_width(self.card, gap)
        if card_half is None and half is not None:
            card_half = half * sqrt(self.now.n / max(1, self.card.n))
        if card_half is None:
            return isclose(self.card.value, self.now.value, rel_tol=TOLERANCE, abs_tol=1e-6)
        wider = normal_half(1 - (1 - CONFIDENCE) / self.of) / normal_half(CONFIDENCE)
        return abs(gap) <= max(wider * hypot(card_half, half or 0.0), 1e-6)


def normal_half(confidence: float) -> float:
    """Half of the interval, in standard errors, that holds this share of a normal distribution."""
    return NormalDist().inv_cdf((1 + confidence) / 2)


def half_width(score: Score, towards: float) -> float | None:
    """Return the half of an interval above the value (below it if `towards` is negative); None without one."""
    if score.interval is None:
        return None
    low, high = score.interval
    return max(0.0, high - score.value if towards > 0 else score.value - low)


def evaluate(name: str) -> tuple[Agreement, ...]:
    """Measure every metric of a trained network's card again if that is possible. Costs one pass over its test data.

    Metrics of the training and not of the network, such as the mean over several seeds, are left out.
    """
    model_folder(name)  # a card has the figures of the finished network, and of none of its steps
    if not read_card(name).metrics:
        raise InputError(f"{name} was not trained here, so its card has no figures that could be measured again.")
    model = load(name)
    card = model.card
    if card.data.name in DATASETS and (found := DATASETS[card.data.name]().sha256) != card.data.sha256:
        raise DataError(
            f"{card.data.name} here is not the data of {name}: its hash is {found[:12]}..., the card says "
            f"{card.data.sha256[:12]}.... Put back the data, or train the model again."
        )
    found_metrics = measure(model, card)
    both = [metric for metric in card.metrics if metric in found_metrics]
    if not both:
        raise InputError(f"Nothing on the card of {name} can be measured again: it has {', '.join(card.metrics)}.")
    tolerance = SAME_ROWS_TOLERANCE if card.dtype == "float32" else TOLERANCE
    return tuple(Agreement(m, card.metrics[m], score_of(found_metrics[m]), len(both), tolerance) for m in both)


def score_of(metric: object) -> Score:
    """Convert a measured metric to a score of the card."""
    found = dict(metric)  # type: ignore[call-overload]
    interval = found.get("interval")
    return Score(float(found["value"]), found["n"], None if interval is None else (interval[0], interval[1]))


def record_intervals(name: str, found: Sequence[Agreement]) -> list[str]:
    """Add to a card the intervals that it lacks, from a new measurement that agrees with it; return their metrics.

    The values on the card stay. Its note says which intervals were measured later, and by which commit.
    """
    lacking = [one for one in found if one.card.interval is None and one.now.interval is not None and one.holds]
    added = {one.metric: replace(one.card, interval=one.now.interval) for one in lacking if holds_value(one)}
    if not added:
        return []
    folder, card = model_folder(name), read_card(name)
    remark = f"Intervals of {', '.join(added)} were measured later (commit {commit()[:12] or 'unknown'})."
    metrics = {metric: added.get(metric, score) for metric, score in card.metrics.items()}
    with writing(folder):
        changed = replace(card, metrics=metrics, note=" ".join(filter(None, (card.note, remark))))
        write_atomically(folder / "card.json", changed.to_json())
    return list(added)


def holds_value(one: Agreement) -> bool:
    """Test if the new interval holds the card's value."""
    low, high = one.now.interval or (0.0, 0.0)
    return low <= one.card.value <= high
