"""`workbench evaluate`: a trained model held against its card."""

from __future__ import annotations

from dataclasses import asdict

from workbench.cli.writing import write_json, write_table

DISAGREES = 1


def evaluate_model(model: str, /, *, json: bool = False) -> int:
    """Measures a trained model again, from its weights and data; the exit code is 1 when its card says otherwise.

    Parameters
    ----------
    model
        Name of a trained model; `workbench list models` has them.
    json
        Write JSON.
    """
    from workbench.experiments.evaluation import evaluate

    found = evaluate(model)
    if json:
        write_json([asdict(one) | {"holds": one.holds} for one in found])
    else:
        write_table(
            [
                {"metric": one.metric, "card": f"{one.card.value:.5g}", "now": f"{one.now.value:.5g}",
                 "n": one.now.n, "": "agrees" if one.holds else "DISAGREES"}
                for one in found
            ]
        )  # fmt: skip
    return 0 if all(one.holds for one in found) else DISAGREES
