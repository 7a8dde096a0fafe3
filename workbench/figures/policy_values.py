"""Action values against played-out returns, and linear probes."""

from __future__ import annotations

import math

import pandas as pd
import plotly.graph_objects as go

from workbench.analysis.policies.probes import Probes
from workbench.analysis.policies.q_accuracy import QAccuracy
from workbench.figures.alt import describe
from workbench.figures.figure import figure
from workbench.figures.numerals import short
from workbench.figures.table import table
from workbench.figures.theme import BLUE, GREY, ORANGE, SERIES, make_figure


@figure.register
def _(result: QAccuracy) -> go.Figure:
    picture = make_figure(
        "What the network expects, and what comes", "return of the action, played", "Q of the network"
    )
    for action in range(result.q.shape[1]):
        picture.add_trace(
            go.Scatter(
                x=result.exact[:, action].tolist(), y=result.q[:, action].tolist(), mode="markers",
                name=f"action {action}", text=[f"step {t}" for t in result.step.tolist()],
                marker={"color": SERIES[action % len(SERIES)], "size": 8},
                hovertemplate="%{text}<br>return %{x:.3g}<br>Q %{y:.3g}<extra></extra>",
            )
        )  # fmt: skip
    low, high = (float(end) for end in result.exact.aminmax())
    picture.add_trace(go.Scatter(x=[low, high], y=[low, high], mode="lines", name="equal", line={"color": GREY}))
    return picture


@describe.register
def _(result: QAccuracy) -> str:
    related = "" if math.isnan(result.correlation) else f", with a correlation of {short(result.correlation)}"
    return (
        f"Over {len(result.step)} states and {result.q.shape[1]} actions Q is {short(abs(result.bias))} "
        f"{'above' if result.bias > 0 else 'below'} the return of playing on (mean {short(result.exact.mean())})"
        f"{related}; both prefer the same action in {short(100 * result.agreement)} % of the states."
    )


@table.register
def _(result: QAccuracy) -> object:
    states, actions = result.q.shape
    rows = {"step": result.step.repeat_interleave(actions).tolist(), "action": list(range(actions)) * states}
    return pd.DataFrame(rows | {name: getattr(result, name).flatten().tolist() for name in ("q", "exact")})


@figure.register
def _(result: Probes) -> go.Figure:
    picture = make_figure("Linear probes, on held-out episodes", "", "score")
    worst, best = (getattr(result.by_fold, end)(dim=1).values for end in ("min", "max"))
    colours = [GREY if "random" in name or name == "raw input" else BLUE for name in result.sources]
    picture.add_trace(
        go.Bar(
            x=list(result.sources), y=result.score.tolist(), marker_color=colours,
            error_y={"type": "data", "array": (best - result.score).tolist(),
                     "arrayminus": (result.score - worst).tolist(), "color": GREY, "thickness": 1},
        )
    )  # fmt: skip
    picture.add_hline(y=result.chance, line={"color": ORANGE, "dash": "dash", "width": 1})
    return picture.update_yaxes(range=[min(-0.1, max(-1.0, float(result.score.min()))), 1.05])


@describe.register
def _(result: Probes) -> str:
    found = ", ".join(f"{name} {short(score)}" for name, score in zip(result.sources, result.score, strict=True))
    return f"Held-out score of a linear probe over {result.n:,} states: {found}; chance {short(result.chance)}."


@table.register
def _(result: Probes) -> object:
    sources, folds = result.by_fold.shape
    rows = {"source": [s for s in result.sources for _ in range(folds)], "fold": list(range(folds)) * sources}
    return pd.DataFrame(rows | {"score": result.by_fold.flatten().tolist()})
