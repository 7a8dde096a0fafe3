"""Vector field of a policy: mean move from every place, before and after a change."""

from __future__ import annotations

import plotly.graph_objects as go
import torch
from jaxtyping import Float, Int
from torch import Tensor

from workbench.analysis.policies.steering import FieldChange
from workbench.figures.alt import describe
from workbench.figures.figure import figure
from workbench.figures.numerals import short
from workbench.figures.theme import BLUE, ORANGE, make_figure

LENGTH = 0.42
"""Length in squares of the arrow of a certain move."""


@figure.register
def _(result: FieldChange) -> go.Figure:
    changed = bool(result.change)
    title = f"Mean move of the policy, and with {result.change} changed" if changed else "Mean move of the policy"
    picture = make_figure(title, "column", "row")
    picture.add_trace(draw_squares(result))
    picture.add_traces(draw_arrows(result.places, result.before, "intact", BLUE, -0.1 * changed))
    if changed:
        picture.add_traces(draw_arrows(result.places, result.after, "changed", ORANGE, 0.1))
    look = {"constrain": "domain", "showgrid": False, "zeroline": False}
    picture.update_yaxes(autorange="reversed", scaleanchor="x", constraintoward="top", **look)
    picture.update_xaxes(**look)
    return picture.update_layout(height=560)


def draw_squares(result: FieldChange) -> go.Heatmap:
    """Draw the open squares, shaded by the change of the action probabilities; walls are left empty."""
    row, column = result.places.T
    floor = torch.full((int(row.max()) + 1, int(column.max()) + 1), torch.nan)
    floor[row, column] = result.shift
    clear, dark = (f"rgba(128,128,128,{opacity})" for opacity in (0.15, 0.65))
    return go.Heatmap(
        z=floor.tolist(), zmin=0, zmax=1, colorscale=[[0, clear], [1, dark]], showscale=False, xgap=1, ygap=1,
        hoverongaps=False,
        hovertemplate="row %{y}, column %{x}<br>%{z:.0%} of the probability moved<extra></extra>",
    )  # fmt: skip


def draw_arrows(
    places: Int[Tensor, "place two"], move: Float[Tensor, "place two"], name: str, colour: str, aside: float
) -> list[go.Scatter]:
    """Draw a line with a head for each place, shifted by `aside` so that two fields do not overlap."""
    start = places + aside
    end = start + LENGTH * move
    row, column = ([v for a, b in zip(start[:, i], end[:, i], strict=True) for v in (float(a), float(b), None)]
                   for i in (0, 1))  # fmt: skip
    line = go.Scatter(x=column, y=row, mode="lines", name=name, line={"color": colour, "width": 2}, hoverinfo="skip")
    head = {"symbol": "circle", "size": 6, "color": colour}
    tip = go.Scatter(x=end[:, 1].tolist(), y=end[:, 0].tolist(), mode="markers", marker=head, showlegend=False,
                     name=name, hoverinfo="skip")  # fmt: skip
    return [line, tip]


@describe.register
def _(result: FieldChange) -> str:
    if not result.change:
        return (
            f"Over {len(result.places)} places the mean move is {short(result.before.norm(dim=1).mean())} squares long."
        )
    most = int(result.shift.argmax())
    row, column = result.places[most].tolist()
    turned = int(((result.before * result.after).sum(dim=1) < 0).sum())
    return (
        f"Changing {result.change} moves {short(100 * result.shift.mean())} % of the action probability, most at row "
        f"{row}, column {column} ({short(100 * result.shift[most])} %), and reverses {turned} of {len(result.places)} "
        "moves."
    )
