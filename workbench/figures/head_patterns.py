"""Attention patterns: share of attention per head and kind of position."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from workbench.analysis.circuits.head_patterns import HeadPatterns
from workbench.figures.alt import describe
from workbench.figures.composition import short_name
from workbench.figures.figure import figure
from workbench.figures.numerals import short
from workbench.figures.table import table
from workbench.figures.theme import TEMPLATE


@figure.register
def _(result: HeadPatterns) -> go.Figure:
    names = [short_name(head) for head in result.heads]
    bars = [
        go.Bar(name=kind, x=names, y=share, hovertemplate=f"%{{x}} {kind}<br>%{{y:.3f}}<extra></extra>")
        for kind, share in zip(result.kinds, result.share.nan_to_num().tolist(), strict=True)
    ]
    layout = go.Layout(
        template=TEMPLATE, barmode="group", title="Attention of heads", xaxis={"title": "head", "type": "category"},
        yaxis={"title": "share of attention", "range": [0, 1]},
    )  # fmt: skip
    return go.Figure(bars, layout)


@describe.register
def _(result: HeadPatterns) -> str:
    best = [
        f"{result.heads[int(share.argmax())]} ({kind} {short(share.max())})"
        for kind, share in zip(result.kinds, result.share.nan_to_num(), strict=True)
    ]
    return f"Of {len(result.heads)} heads, the strongest of each kind are {', '.join(best)}."


@table.register
def _(result: HeadPatterns) -> pd.DataFrame:
    return pd.DataFrame({"head": result.heads, **dict(zip(result.kinds, result.share.tolist(), strict=True))})
