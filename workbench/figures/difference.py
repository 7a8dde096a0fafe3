"""Comparison of tuned models: changed weights, KL by token, and the effect of restoring parts."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from workbench.analysis.rlhf.difference import Difference, Table, Trace, undone_shares
from workbench.figures.alt import describe
from workbench.figures.figure import figure
from workbench.figures.numerals import percent, short
from workbench.figures.table import table
from workbench.figures.theme import SERIES, TEMPLATE

KL = "KL before tokens, those with the largest total"
SHOWN = 12
"""Number of parts per panel, those with the largest values; the tables have more."""


@figure.register
def _(result: Trace) -> go.Figure:
    panels = {
        "Relative change of the weights": ("change", result.changes()),
        **({KL: ("nats", rows)} if (rows := result.divergences(SHOWN)) else {}),
        **{
            result.restoration_title(kind): (result.unit, result.restoration_table(kind, SHOWN))
            for kind in result.kinds
        },
    }
    picture = make_subplots(rows=len(panels), cols=1, subplot_titles=list(panels), vertical_spacing=0.4 / len(panels))
    for row, (unit, rows) in enumerate(panels.values(), 1):
        for bars in draw_grouped_bars(rows, list(result.found), legend=row == 1):
            picture.add_trace(bars, row=row, col=1)
        picture.update_yaxes(title_text=unit, row=row, col=1)
    above = {"yref": "container", "y": 1, "yanchor": "top"}
    return picture.update_layout(
        template=TEMPLATE, height=40 + 330 * len(panels), barmode="group", legend=above, margin={"t": 90}
    )


def draw_grouped_bars(rows: Table, models: list[str], legend: bool) -> list[go.Bar]:
    """Draw a bar for each part and model."""
    label = next(iter(rows[0]))
    return [
        go.Bar(
            x=[row[label] for row in rows], y=[row.get(model) for row in rows], name=model, legendgroup=model,
            showlegend=legend, marker_color=SERIES[i % len(SERIES)], hovertemplate="%{x}<br>%{y:.3g}",
        )
        for i, model in enumerate(models)
    ]  # fmt: skip


@describe.register
def _(result: Trace) -> str:
    changes = result.changes()
    found = []
    for name, one in result.found.items():
        most = max(changes, key=lambda row: row[name])
        found.append(
            f"{name} changed {most['part']} most, by {short(most[name])} of its norm, and {describe_kl(one)}"
            f"{describe_restoration(result, name)}"
        )
    return f"Compared with {result.original}: {'; '.join(found)}."


def describe_kl(one: Difference) -> str:
    """Describe how far a model's predictions are from the original's, if it makes any."""
    if one.kl is None:
        return "scores texts instead of predicting tokens, so it has no KL"
    return f"its KL is {short(one.kl.per_token)} nats per token"


def describe_restoration(result: Trace, name: str) -> str:
    """Describe the part whose restoration undoes most of the effect; empty if nothing was restored."""
    best = [
        (share, part, kind)
        for kind, back in result.found[name].restored.items()
        for part, share in undone_shares(back).items()
    ]
    if not best:
        return ""
    share, part, kind = max(best)
    return f", of which restoring {part} ({kind}) undoes {percent(share)}"


@table.register
def _(result: Trace) -> pd.DataFrame:
    found = []
    for title, rows in result.tables(len(result.tokens)).items():
        for row in rows:
            (_, part), *cells = row.items()
            found += [
                {"table": title, "part": part, "column": column, "value": float(value)}
                for column, value in cells
                if isinstance(value, int | float)
            ]
    return pd.DataFrame(found)
