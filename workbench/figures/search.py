"""Hyperparameter search: history, parameter importance and all trials, drawn by Optuna."""

from __future__ import annotations

from typing import TYPE_CHECKING

import plotly.graph_objects as go

from workbench.figures.numerals import short
from workbench.figures.theme import BLUE, GREY, ORANGE, TEMPLATE

if TYPE_CHECKING:
    import optuna

FEWEST = 4
"""Minimum number of finished trials for estimating importance."""


def draw_search(study: optuna.Study) -> dict[str, go.Figure]:
    """Return figures by title, omitting those that need more finished trials."""
    from optuna.visualization import plot_optimization_history, plot_parallel_coordinate, plot_param_importances

    metric = read_metric(study)
    finished = list_finished_trials(study)
    found: dict[str, go.Figure] = {}
    if finished:
        history = plot_optimization_history(study, target_name=metric)
        found["History"] = history.update_traces(marker_color=BLUE).update_traces(
            line_color=ORANGE, selector={"mode": "lines"}
        )
    if len({tuple(sorted(t.params.items())) for t in finished}) >= FEWEST:
        found["Importance"] = plot_param_importances(study, target_name=metric).update_traces(marker_color=BLUE)
    if len(finished) > 1:
        found["All trials"] = plot_parallel_coordinate(study, target_name=metric)
    for picture in found.values():
        picture.update_layout(template=TEMPLATE, title=None, font={"color": GREY}, height=380)
    return found


def read_metric(study: optuna.Study) -> str:
    """Return the metric of the study in words."""
    return str(study.user_attrs.get("plan", {}).get("metric", "value")).replace("test_", "held-out ").replace("_", " ")


def list_finished_trials(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """Return the trials with a value."""
    return [trial for trial in study.trials if trial.value is not None]


def describe_best(study: optuna.Study) -> str:
    """Describe the best trial in one sentence."""
    finished = list_finished_trials(study)
    if not finished:
        return f"None of {len(study.trials)} trials has finished yet."
    settings = ", ".join(f"{n} {v if isinstance(v, str) else short(v)}" for n, v in study.best_params.items())
    return (
        f"Best {read_metric(study)} of {len(finished)} finished trials ({len(study.trials)} started): "
        f"{short(study.best_value)} with {settings} (trial {study.best_trial.number})."
    )
