"""`workbench compare`: one recipe under several settings, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from workbench.cli.writing import bar, write, write_json, write_table


def compare_settings(
    comparison: str = "",
    /,
    *,
    folder: Path | None = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    json: bool = False,
) -> None:
    """Trains a recipe under several settings; what was trained before is not trained again.

    Parameters
    ----------
    comparison
        Name of a comparison, or a file that ends in .toml; left out, the names are listed.
    folder
        Where to keep the outcome; left out, beside the trained models.
    output
        A web page (.html) for the figure.
    json
        Write curves, gradients and accuracies as JSON.
    """
    from workbench.experiments.comparison import compare, comparisons, read_plan
    from workbench.experiments.training_runs import key_of, logged

    if not comparison:
        write_table([{"comparison": name, "question": question} for name, question in comparisons().items()])
        return
    plan = read_plan(comparison)
    told = {"analysis": "compare", "model": plan.name, "recipe": plan.recipe}
    with (
        bar(f"comparing {comparison}", quiet=json) as progress,
        logged(key_of("compare", plan.name), told, progress) as report,
    ):
        result = compare(plan, folder, report)
    if output is not None:
        from workbench.figures.figure import figure

        figure(result).write_html(output, include_plotlyjs=True)
        write(str(output))
    if json:
        write_json(result.to_json())
    else:
        write(result.question)
        write_table(rows(result))


def rows(result: Any) -> list[dict[Any, Any]]:
    """One line for each variant: accuracy over seeds, and how the gradient changes from last layer to first."""
    from workbench.figures.table import table

    return table(result).to_dict("records")
