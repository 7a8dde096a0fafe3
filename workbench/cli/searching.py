"""`workbench search`: search for better settings of a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from workbench.cli.flags import with_limits
from workbench.cli.writing import bar, write, write_json, write_table
from workbench.core.ranges import NonNegativeInt

SHOWN = 10
"""Trials that are printed, the best first."""


@with_limits
def search_settings(
    recipe: str,
    /,
    *ranges: str,
    trials: NonNegativeInt = 20,
    metric: str = "test_accuracy",
    name: str = "",
    settings: Annotated[list[str] | None, Parameter(name="--set", consume_multiple=True, negative="")] = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    json: bool = False,
) -> None:
    """Search ranges of a recipe's settings with Optuna, judged on a held-out tenth of the training set.

    The search is kept on disk: the same command adds trials to it, after a kill as well.

    Args:
        recipe: Name of a recipe; `workbench list recipes` has them.
        ranges: `NAME=LOW..HIGH`, `NAME=LOW..HIGH,log` or `NAME=THIS|THAT`: `lr=1e-4..1e-1,log optimizer=adam|muon`.
        trials: Trainings to add.
        metric: What to judge by; low is good for a loss, error or distance, else high.
        name: Name of the search; left out, the recipe's.
        settings: Settings that stay fixed, as NAME=VALUE.
        output: A web page (.html) for history, importance and all trials.
        json: Write every trial as JSON.
    """
    from workbench.core.registry import RECIPES
    from workbench.experiments.pipelines.search import SearchPlan, ranges_from, search
    from workbench.experiments.pipelines.training_runs import key_of
    from workbench.experiments.questions.settings import from_words
    from workbench.experiments.store.run_log import RunLog
    from workbench.figures.search import describe_best, draw_search, list_finished_trials

    plain = RECIPES[recipe]
    plan = SearchPlan(recipe, ranges_from(plain, ranges), from_words(plain, settings or []), metric)
    name = name or recipe
    about = {"analysis": "search", "model": name, "recipe": recipe, "ranges": list(ranges)}
    with (
        bar(f"searching {recipe}", quiet=json) as progress,
        RunLog().record(key_of("search", name), about, progress) as report,
    ):
        study = search(name, plan, trials, report)
    best = sorted(list_finished_trials(study), key=lambda t: t.value or 0.0, reverse=plan.direction == "maximize")
    rows = [{"trial": t.number, metric: t.value, **t.params} for t in best]
    if json:
        write_json(rows)
    else:
        write_table(rows[:SHOWN])
        write(describe_best(study))
    if output is not None:
        pages = [figure.to_html(include_plotlyjs=i == 0) for i, figure in enumerate(draw_search(study).values())]
        output.write_text("\n".join(pages), encoding="utf-8")
