"""Composition scores: a writer-by-reader heat map for each of queries, keys and values."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from workbench.analysis.circuits.composition import Composition
from workbench.figures.alt import describe
from workbench.figures.figure import figure
from workbench.figures.numerals import short
from workbench.figures.table import table
from workbench.figures.theme import TEMPLATE


@figure.register
def _(result: Composition) -> go.Figure:
    titles = [f"{part}-composition" for part in result.parts]
    picture = make_subplots(rows=1, cols=len(titles), subplot_titles=titles, shared_yaxes=True, horizontal_spacing=0.03)
    names = [short_name(head) for head in result.heads]
    for column, (part, scores) in enumerate(zip(result.parts, result.score, strict=True), start=1):
        heat = go.Heatmap(
            x=names, y=names, z=scores.tolist(), coloraxis="coloraxis", hoverongaps=False,
            hovertemplate=f"%{{y}} into the {part} of %{{x}}<br>%{{z:.3f}}<extra></extra>",
        )  # fmt: skip
        picture.add_trace(heat, row=1, col=column)
        picture.update_xaxes(title_text="reads", row=1, col=column)
    picture.update_yaxes(autorange="reversed").update_yaxes(title_text="writes", row=1, col=1)
    return picture.update_layout(
        template=TEMPLATE, height=430, coloraxis={"colorscale": "Cividis", "cmin": 0, "colorbar": {"title": "score"}},
        title=f"Composition of {len(names)} heads by their weights; by chance {short(result.chance)}",
    )  # fmt: skip


def short_name(head: str) -> str:
    """Shorten `blocks.0.attn.hook_z[head=3]` to `0.3`; encoder, decoder and cross-attention are kept in the name."""
    hook, _, number = head.partition("[head=")
    parts = [part for part in hook.split(".") if part not in ("blocks", "attn", "hook_z")]
    return ".".join([*parts, number.rstrip("]")])


@describe.register
def _(result: Composition) -> str:
    known = result.score.nan_to_num(-1)
    if known.max() < 0:
        return f"None of {len(result.heads)} heads reads another one, so no heads compose."
    part, writer, reader = (int(i) for i in (known == known.max()).nonzero()[0])
    return (
        f"Of {len(result.heads)} heads, {result.heads[writer]} composes most with the {result.parts[part]} of "
        f"{result.heads[reader]}: {short(known.max())} (chance {short(result.chance)})."
    )


@table.register
def _(result: Composition) -> pd.DataFrame:
    known = ~result.score.isnan()
    shown = known if known.any() else ~known  # heads of a single layer do not compose, but have copying scores
    rows = [
        (result.parts[part], result.heads[writer], result.heads[reader], float(result.score[part, writer, reader]))
        for part, writer, reader in shown.nonzero().tolist()
    ]
    found = pd.DataFrame(rows, columns=["part", "writer", "reader", "score"])
    copying = dict(zip(result.heads, result.copying.tolist(), strict=True))
    return found.assign(writer_copies=found["writer"].map(copying)).sort_values(
        "score", ascending=False, ignore_index=True
    )
