"""Figure of the return of a policy by the number of edges that its circuit keeps."""

from __future__ import annotations

import plotly.graph_objects as go
from torch import Tensor

from workbench.analysis.policies.circuit_returns import CircuitReturns
from workbench.figures.alt import describe
from workbench.figures.figure import figure
from workbench.figures.numerals import short
from workbench.figures.theme import BLUE, GREEN, GREY, ORANGE, make_error_bars, make_figure


@figure.register
def _(result: CircuitReturns) -> go.Figure:
    picture = make_figure("Return with only some edges kept", "edges kept", "mean return")
    for name, returns, colour in (
        ("by attribution", result.circuit, BLUE), ("by magnitude", result.magnitude, ORANGE),
        (f"random, mean of {len(result.random)}", result.random.mean(dim=0), GREY),
    ):  # fmt: skip
        mean, x = returns.mean(dim=1), result.sizes.tolist()
        line = go.Scatter(x=x, y=mean.tolist(), name=name, mode="lines+markers", line={"color": colour})
        picture.add_trace(line.update(error_y=make_error_bars(mean, *result.interval(returns))))
    picture.add_hline(y=float(result.intact.mean()), line={"color": GREEN, "dash": "dash", "width": 1})
    picture.update_xaxes(type="log")
    return picture


@describe.register
def _(result: CircuitReturns) -> str:
    def kept(returns: Tensor) -> str:
        size = result.smallest(returns)
        return "no smaller circuit" if size is None or size == result.sizes[-1] else f"{size:,} edges"

    n_edges, random = int(result.sizes[-1]), result.random.mean(dim=0)
    return (
        f"Of {n_edges:,} edges, 90 % of the return of {short(result.intact.mean())} needs {kept(result.circuit)} by "
        f"attribution, {kept(result.magnitude)} by magnitude and {kept(random)} at random, over "
        f"{len(result.intact)} paired episodes; without any edge it is {short(result.cut.mean())}."
    )
