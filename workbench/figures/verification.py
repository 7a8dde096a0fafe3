"""Verification of a circuit: faithfulness of circuit, complement and random circuits; scores against exact effects."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
import torch
from plotly.subplots import make_subplots

from workbench.analysis.circuits.verification import Verification
from workbench.figures.alt import describe
from workbench.figures.figure import figure
from workbench.figures.numerals import short
from workbench.figures.table import table
from workbench.figures.theme import BLUE, GREY, ORANGE, TEMPLATE, make_error_bars
from workbench.figures.uncertainty import warn_of_few, write_count, write_interval


@figure.register
def _(result: Verification) -> go.Figure:
    picture = make_subplots(
        rows=1, cols=2, column_widths=[0.4, 0.6], horizontal_spacing=0.14,
        subplot_titles=("faithfulness", "scores of sampled edges"),
    )  # fmt: skip
    picture.add_trace(draw_bars(result), row=1, col=1)
    box = go.Box(y=result.random.tolist(), x=["random"] * len(result.random), marker_color=GREY, boxpoints="all")
    picture.add_trace(box, row=1, col=1)
    for trace in draw_scatter(result):
        picture.add_trace(trace, row=1, col=2)
    picture.update_xaxes(title_text="exact patching", row=1, col=2)
    picture.update_yaxes(title_text=result.method, row=1, col=2)
    title = f"{result.live} of {result.n_edges:,} edges ({result.method}, {result.ablation})"
    return picture.update_layout(
        template=TEMPLATE, title=title, height=460, margin={"t": 90}, showlegend=False, hovermode="closest"
    )


def draw_bars(result: Verification) -> go.Bar:
    """Draw the faithfulness of circuit and complement with intervals over the examples."""
    values = torch.tensor([result.faithfulness, result.complement])
    ends = torch.tensor([result.interval, result.complement_interval]).T
    hover = "%{x}<br>%{y:.3f}<extra></extra>"
    bars = go.Bar(x=["circuit", "complement"], y=values.tolist(), marker_color=[BLUE, ORANGE], hovertemplate=hover)
    return bars.update(error_y=make_error_bars(values, *ends))


def draw_scatter(result: Verification) -> list[go.Scatter]:
    """Draw the score of each sampled edge against its exact effect, and the line of equality."""
    exact, estimated = result.exact.tolist(), result.estimated.tolist()
    ends = [min(exact), max(exact)]
    line = {"color": GREY, "dash": "dot"}
    hover = "%{text}<br>exact %{x:.3g}, score %{y:.3g}<extra></extra>"
    points = go.Scatter(x=exact, y=estimated, mode="markers", text=list(result.sampled), hovertemplate=hover)
    points.update(marker={"color": BLUE, "size": 7, "opacity": 0.7})
    return [go.Scatter(x=ends, y=ends, mode="lines", line=line, hoverinfo="skip"), points]


@describe.register
def _(result: Verification) -> str:
    sure = write_interval(100 * end for end in result.interval)
    spare = int((result.necessity <= 0).sum())
    return (
        f"{result.live} of {result.n_edges:,} edges keep {short(100 * result.faithfulness)} % of the behaviour "
        f"{write_count(result.n)}{sure}, all others {short(100 * result.complement)} %, and "
        f"{len(result.random)} random circuits of that size {short(100 * result.random.mean())} % on average and "
        f"{short(100 * result.random.max())} % at most. {spare} of its {len(result.necessity)} strongest edges can be "
        f"cut without loss. Circuits traced on resampled examples share {short(100 * result.jaccard.mean())} % of "
        f"their edges (Jaccard). Scores and exact effects of {len(result.sampled)} edges have a correlation of "
        f"{short(result.pearson)} (ranks {short(result.spearman)}) and the same sign for "
        f"{short(100 * result.same_sign)} %{warn_of_few(result.n)}."
    )


@table.register
def _(result: Verification) -> pd.DataFrame:
    rows = [(edge.writer, edge.port, edge.score) for edge in result.edges]
    unknown = [float("nan")] * (len(rows) - len(result.necessity))
    return pd.DataFrame(rows, columns=["writer", "port", "score"]).assign(
        necessity=[*result.necessity.tolist(), *unknown]
    )
