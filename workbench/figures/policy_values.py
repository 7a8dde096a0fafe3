"""Figure of action values compared with the returns of rollouts."""

from __future__ import annotations

import math

import plotly.graph_objects as go

from workbench.analysis.policies.q_accuracy import QAccuracy
from workbench.figures.alt import describe
from workbench.figures.figure import figure
from workbench.figures.numerals import short
from workbench.figures.theme import GREY, SERIES, make_figure


@figure.register
def _(result: QAccuracy) -> go.Figure:
    picture = make_figure("Predicted action values and returns", "return of the action, played", "Q of the network")
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
