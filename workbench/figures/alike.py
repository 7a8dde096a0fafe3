"""Similarity of policies: overlap of circuits and similarity of layers."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from workbench.analysis.policies.alike import Alikeness
from workbench.figures.alt import describe
from workbench.figures.figure import figure
from workbench.figures.numerals import short
from workbench.figures.table import table
from workbench.figures.theme import BLUE, GREEN, GREY, SERIES, make_figure


@figure.register
def _(result: Alikeness) -> go.Figure:
    picture = make_figure(
        f"How alike: the {result.size:,} strongest edges, and the layers", "", "overlap, CKA, agreement"
    )
    names = list(result.others)
    bars = [("overlap of circuits", result.jaccard, BLUE), ("units paired at random", result.chance, GREY),
            ("same action", result.agreement, GREEN)]  # fmt: skip
    bars += [(f"CKA of {hook}", result.cka[:, i], SERIES[3 + i % 3]) for i, hook in enumerate(result.hooks)]
    for name, values, colour in bars:
        picture.add_trace(go.Bar(x=names, y=values.tolist(), name=name, marker_color=colour))
    return picture.update_yaxes(range=[0, 1])


@describe.register
def _(result: Alikeness) -> str:
    found = [
        f"{name} {short(jaccard)} (chance {short(chance)}; CKA {', '.join(short(x) for x in layers) or 'none'})"
        for name, jaccard, chance, layers in zip(result.others, result.jaccard, result.chance, result.cka, strict=True)
    ]
    return f"Overlap of the {result.size:,} strongest edges: {'; '.join(found)}."


@table.register
def _(result: Alikeness) -> object:
    columns = {name: getattr(result, name).tolist() for name in ("jaccard", "chance", "agreement")}
    columns |= {f"cka {hook}": result.cka[:, i].tolist() for i, hook in enumerate(result.hooks)}
    return pd.DataFrame({"other": list(result.others)} | columns)
