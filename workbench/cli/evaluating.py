"""`workbench evaluate`: measure a trained model again and compare it with its card."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter

from workbench.cli.flags import with_limits
from workbench.cli.writing import write, write_json, write_table

DISAGREES = 1


@with_limits
def evaluate_model(
    model: str, /, *, record: Annotated[bool, Parameter(negative="")] = False, json: bool = False
) -> int:
    """Measure a trained model again from its weights and data; exit code 1 if its card disagrees.

    Args:
        model: Name of a trained model; `workbench list models` has them.
        record: Add intervals that the card lacks, for metrics that agree; the card's values stay.
        json: Write JSON.
    """
    from workbench.experiments.pipelines.evaluation import evaluate, record_intervals

    found = evaluate(model)
    added = record_intervals(model, found) if record else []
    if json:
        write_json([asdict(one) | {"holds": one.holds} for one in found])
    else:
        write_table(
            [
                {"metric": one.metric, "card": f"{one.card.value:.5g}", "now": f"{one.now.value:.5g}",
                 "95 % interval": format_interval(one.now.interval), "n": one.now.n,
                 "": "agrees" if one.holds else "DISAGREES"}
                for one in found
            ]
        )  # fmt: skip
        if added:
            write(f"Added to the card: intervals of {', '.join(added)}")
    return 0 if all(one.holds for one in found) else DISAGREES


def format_interval(interval: tuple[float, float] | None) -> str:
    """Write an interval as text."""
    return "" if interval is None else f"{interval[0]:.5g} to {interval[1]:.5g}"
