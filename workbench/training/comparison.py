"""One training under several settings, side by side: curves, gradients by layer, and how well each has learned."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from workbench.training.curve import Curve

Norms = dict[str, float | None]
"""The gradient's Euclidean norm for each weight, first layer first; None where it was not finite."""


@dataclass(frozen=True)
class Attempt:
    """One training of one variant.

    `before` and `after` are gradients of the loss on the first batch, before the first step and after the last one.
    `accuracy` is the share of test examples that is right; None, with the reason in `error`, when training stopped.
    """

    seed: int
    before: Norms
    after: Norms
    curve: Curve
    accuracy: float | None = None
    n: int = 0
    error: str = ""


@dataclass(frozen=True)
class Variant:
    """One choice of settings, trained once for each seed."""

    label: str
    settings: dict[str, Any]
    batch_size: int
    attempts: tuple[Attempt, ...] = ()

    @property
    def accuracies(self) -> list[float]:
        """The test accuracy of every attempt that came to its end."""
        return [attempt.accuracy for attempt in self.attempts if attempt.accuracy is not None]


@dataclass(frozen=True)
class Comparison:
    """What became of a recipe under each variant's settings; the rest, data and seeds included, was the same.

    `facts` is what each variant's training depended on, by label; empty when that was not recorded.
    """

    name: str
    question: str
    recipe: str
    data: str
    commit: str
    variants: tuple[Variant, ...]
    seconds: float = 0.0
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def by_examples(self) -> bool:
        """Whether variants differ in batch size, so that steps do not compare."""
        return len({variant.batch_size for variant in self.variants}) > 1

    def to_json(self) -> dict[str, Any]:
        """JSON values, from which `checkpoints.restoring.restore` makes it again; what is not finite is None."""
        return finite(asdict(self))


def finite(value: Any) -> Any:
    """JSON values without infinities and NaN, numbers to six significant digits."""
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: finite(member) for name, member in value.items()}
    return [finite(member) for member in value] if isinstance(value, list | tuple) else value
