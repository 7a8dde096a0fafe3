"""Result of training one recipe under several settings: curves, gradients by layer and accuracies."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from workbench.core.notebook import show_in_notebook, write_fields
from workbench.training.curve import Curve

Norms = dict[str, float | None]
"""Euclidean norm of each weight's gradient, first layer first; None if it is not finite."""


@dataclass(frozen=True)
class Attempt:
    """Training of one variant with one seed.

    `before` and `after` are gradients of the loss on the first batch, before the first step and after the last one.
    `accuracy` is the test accuracy; if training stopped early it is None, with the reason in `error`.
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
    """Settings of one variant and its trainings, one per seed."""

    label: str
    settings: dict[str, Any]
    batch_size: int
    attempts: tuple[Attempt, ...] = ()

    @property
    def accuracies(self) -> list[float]:
        """Test accuracies of the trainings that finished."""
        return [attempt.accuracy for attempt in self.attempts if attempt.accuracy is not None]


@dataclass(frozen=True)
class Comparison:
    """Trainings of one recipe under the settings of each variant; all other settings, data and seeds are the same.

    `facts` holds everything that each variant's training depends on, by label; empty in results of earlier versions.
    """

    __repr__ = write_fields
    _repr_mimebundle_ = show_in_notebook

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
        """True if the variants differ in batch size, so that their steps are not comparable."""
        return len({variant.batch_size for variant in self.variants}) > 1

    def to_json(self) -> dict[str, Any]:
        """Convert to JSON values that `checkpoints.deserialization` can read; None in place of infinities and NaN."""
        return replace_infinite(asdict(self))


def replace_infinite(value: Any) -> Any:
    """Replace infinities and NaN in JSON values by None and round numbers to six significant digits."""
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: replace_infinite(member) for name, member in value.items()}
    return [replace_infinite(member) for member in value] if isinstance(value, list | tuple) else value
