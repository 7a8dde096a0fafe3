"""Returns of a policy with units removed, or with only some edges kept."""

from __future__ import annotations

import plotly.graph_objects as go
import torch
from torch import Tensor

from workbench.analysis.policies.circuit_returns import CircuitReturns
from workbench.analysis.policies.interventions import InterventionReturns
from workbench.figures.alt import describe
from workbench.figures.figure import figure
from workbench.figures.numerals import short
from workbench.figures.table import frame, table
from workbench.figures.theme import BLUE, GREEN, GREY, ORANGE, make_figure

SHOWN = 40
"""Number of conditions in the figure, those with the largest effects; the table has all."""


@figure.register
def _(result: InterventionReturns) -> go.Figure:
    order = result.effect.abs().argsort(descending=True, stable=True)[:SHOWN]
    order = order[result.effect[order].argsort(stable=True)]
    title = f"Change of the return over {len(result.seeds)} paired episodes"
    if len(order) < len(result.effect):
        title += f": {len(order)} of {len(result.effect)} conditions"
    effect = result.effect[order]
    picture = make_figure(title, "", "change of the return")
    picture.add_trace(
        go.Bar(
            x=[result.conditions[i] for i in order.tolist()],
            y=effect.tolist(),
            marker_color=[BLUE if value < 0 else ORANGE for value in effect.tolist()],
            error_y={
                "type": "data", "array": (result.high[order] - effect).tolist(),
                "arrayminus": (effect - result.low[order]).tolist(), "thickness": 1, "color": GREY,
            },
            hovertemplate="%{x}<br>%{y:.3g}<extra></extra>",
        )
    )  # fmt: skip
    return picture


@describe.register
def _(result: InterventionReturns) -> str:
    worst = int(result.effect.abs().argmax())
    clear = int(((result.low > 0) | (result.high < 0)).sum())
    return (
        f"'{result.conditions[worst]}' changes the return most, by {short(result.effect[worst])} (95 % interval "
        f"{short(result.low[worst])} to {short(result.high[worst])}) from {short(result.intact.mean())}; "
        f"{clear} of {len(result.effect)} intervals exclude zero, over {len(result.seeds)} paired episodes."
    )


@table.register
def _(result: InterventionReturns) -> object:
    columns = {"return": result.edited, "intact": result.intact[None]}
    rows = frame(("condition", "episode"), columns)
    return rows.assign(condition=[result.conditions[i] for i in rows["condition"]])


@figure.register
def _(result: CircuitReturns) -> go.Figure:
    picture = make_figure("Return with only some edges kept", "edges kept", "mean return")
    for name, returns, colour in (
        ("by attribution", result.circuit, BLUE), ("by magnitude", result.magnitude, ORANGE),
        (f"random, mean of {len(result.random)}", result.random.mean(dim=0), GREY),
    ):  # fmt: skip
        low, high = result.interval(returns)
        mean = returns.mean(dim=1)
        picture.add_trace(
            go.Scatter(
                x=result.sizes.tolist(), y=mean.tolist(), name=name, mode="lines+markers", line={"color": colour},
                error_y={"type": "data", "array": (high - mean).tolist(), "arrayminus": (mean - low).tolist(),
                         "thickness": 1},
            )
        )  # fmt: skip
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


@table.register
def _(result: CircuitReturns) -> object:
    columns = {
        "edges": result.sizes[:, None], "circuit": result.circuit, "magnitude": result.magnitude,
        "random": result.random.mean(dim=0), "intact": result.intact[None], "cut": result.cut[None],
    }  # fmt: skip
    return frame(("size", "episode"), {name: torch.as_tensor(x).double() for name, x in columns.items()})
