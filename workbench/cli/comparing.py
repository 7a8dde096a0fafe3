"""`workbench compare`: train one recipe under several settings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from workbench.cli.flags import with_limits
from workbench.cli.writing import bar, write, write_json, write_table

if TYPE_CHECKING:
    from workbench.experiments.pipelines.comparison import Plan


@with_limits
def compare_settings(
    comparison: str = "",
    /,
    *,
    folder: Path | None = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    json: bool = False,
) -> None:
    """Train a recipe under several settings; finished trainings are kept.

    Args:
        comparison: Name of a comparison, or a file that ends in .toml; left out, the names are listed.
        folder: Where to keep the outcome; left out, beside the trained models.
        output: A web page (.html) for the figure.
        json: Write curves, gradients and accuracies as JSON.
    """
    from workbench.experiments.pipelines.comparison import compare, comparisons, read_plan
    from workbench.experiments.pipelines.training_runs import key_of
    from workbench.experiments.store.run_log import RunLog

    if not comparison:
        write_table([{"comparison": name, "question": question} for name, question in comparisons().items()])
        return
    plan = read_plan(comparison)
    if not json:
        write_table(kept_before(plan, folder))
    about = {"analysis": "compare", "model": plan.name, "recipe": plan.recipe}
    with (
        bar(f"comparing {comparison}", quiet=json) as progress,
        RunLog().record(key_of("compare", plan.name), about, progress) as report,
    ):
        result = compare(plan, folder, report)
    if output is not None:
        from workbench.figures.figure import figure
        from workbench.figures.markup import remove_foreign_markup

        remove_foreign_markup(figure(result)).write_html(output, include_plotlyjs=True)
        write(str(output))
    if json:
        write_json(result.to_json())
    else:
        write(result.question)
        write_table(rows(result))


def kept_before(plan: Plan, folder: Path | None) -> list[dict[str, str]]:
    """List each variant that was trained before: kept or trained again, and the reason."""
    from workbench.experiments.pipelines.comparison import kept_at, outdated_variants, read_comparison

    if not (path := kept_at(plan, folder)).is_file():
        return []
    stored = read_comparison(path)
    outdated = outdated_variants(plan, stored)
    unknown = f"its code was not recorded, but its commit: {stored.commit[:12]}"
    return [
        {
            "trained before": variant.label,
            "now": "trained again" if variant.label in outdated else "kept",
            "": "; ".join(outdated.get(variant.label, () if variant.label in stored.facts else (unknown,))),
        }
        for variant in stored.variants
        if variant.label in plan.variants
    ]


def rows(result: Any) -> list[dict[Any, Any]]:
    """Return one row for each variant: accuracy over seeds, and the gradient from last layer to first."""
    from workbench.figures.table import table

    return table(result).to_dict("records")
