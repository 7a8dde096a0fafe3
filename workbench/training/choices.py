"""How many questions were answered rightly."""

from __future__ import annotations

from typing import Any

from workbench.training.supervised import wilson_interval


def share_right(right: list[bool], name: str) -> dict[str, dict[str, Any]]:
    """The share of questions answered rightly, as a metric with its 95 % interval."""
    n, correct = len(right), sum(right)
    return {name: {"value": correct / n, "n": n, "interval": wilson_interval(correct, n)}}
