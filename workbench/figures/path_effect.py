"""Path patching: effect of each prefix of a path."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from workbench.analysis.circuits.path_patching import PathEffect
from workbench.core.intervals import mean_interval
from workbench.figures.alt import describe
from workbench.figures.figure import figure
from workbench.figures.interval import between, caution, over
from workbench.figures.numerals import short
from workbench.figures.table import table
from workbench.figures.theme import BLUE, ORANGE, make_figure


@figure.register
def _(result: PathEffect) -> go.Figure:
    picture = make_figure(f"A path of {len(result.path)} edges ({result.ablation})", "edge", "change of the metric")
    values = result.prefix.tolist()
    picture.add_trace(
        go.Bar(
            x=[f"{i + 1}. {edge}" for i, edge in enumerate(result.path)],
            y=values,
            marker_color=[BLUE if value < 0 else ORANGE for value in values],
            hovertemplate="%{x}<br>%{y:.3g} up to here<extra></extra>",
        )
    )
    return picture


@describe.register
def _(result: PathEffect) -> str:
    gap, n = result.corrupted.mean() - result.clean.mean(), len(result.effect)
    return (
        f"Patching the path {' ; '.join(result.path)} changes the metric by {short(result.effect.mean())}"
        f"{between(mean_interval(result.effect))} from "
        f"{short(result.clean.mean())}, which is {short(100 * result.effect.mean() / gap)} % of cutting every edge, "
        f"{over(n)}{caution(n)}."
    )


@table.register
def _(result: PathEffect) -> pd.DataFrame:
    return pd.DataFrame({"edge": list(result.path), "effect up to here": result.prefix.tolist()})
