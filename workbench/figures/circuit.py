"""Figure of a circuit: layered drawing of its strongest edges, and faithfulness by circuit size."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
import torch
from plotly.subplots import make_subplots

from workbench.analysis.circuits.circuit import Circuit
from workbench.figures.alt import describe
from workbench.figures.circuit_drawing import draw_edges, name_columns, place_sites
from workbench.figures.figure import figure
from workbench.figures.numerals import percent, short
from workbench.figures.table import table
from workbench.figures.theme import BLUE, GREY, TEMPLATE
from workbench.figures.uncertainty import warn_of_few, write_count, write_interval

SHOWN = 60
"""Maximum number of edges in the figure; the table has all."""
VERDICT = {
    (True, True): ", which it beats: the intervals lie apart",
    (True, False): ", which it does not clearly beat: the intervals meet",
    (False, False): "",
}
"""By two conditions: there are intervals, and they do not overlap."""
SPACED = {"usual": "usual sizes", "log": "sizes on a logarithmic scale", "mib": "MIB's sizes"}


@figure.register
def _(result: Circuit) -> go.Figure:
    picture = make_subplots(rows=2, cols=1, row_heights=[0.62, 0.38], vertical_spacing=0.14)
    edges = result.top(SHOWN)
    places = place_sites(result.wiring, edges)
    for trace in draw_edges(result.wiring, edges, places):
        picture.add_trace(trace, row=1, col=1)
    for trace in draw_curves(result):
        picture.add_trace(trace, row=2, col=1)
    names = name_columns(places)
    picture.update_xaxes(tickvals=list(names), ticktext=list(names.values()), showgrid=False, row=1, col=1)
    picture.update_xaxes(zeroline=False, row=1, col=1).update_yaxes(visible=False, row=1, col=1)
    picture.update_xaxes(title_text="edges kept", type="log", row=2, col=1)
    picture.update_yaxes(title_text="faithfulness", row=2, col=1)
    title = f"{len(edges)} strongest of {result.wiring.n_edges:,} edges ({result.method}, {result.ablation})"
    return picture.update_layout(template=TEMPLATE, title=title, height=760, hovermode="closest")


def draw_curves(result: Circuit) -> list[go.Scatter]:
    """Draw the faithfulness of the circuit at each size, and the mean and range of random circuits."""
    sizes, draws = result.sizes.tolist(), result.random_faithfulness
    low, high = draws.min(dim=0).values.tolist(), draws.max(dim=0).values.tolist()
    line = {"color": GREY, "dash": "dot"}
    band = {"fill": "toself", "fillcolor": "rgba(128,128,128,0.2)", "line": {"width": 0}}
    return [
        go.Scatter(x=sizes + sizes[::-1], y=high + low[::-1], hoverinfo="skip", showlegend=False, **band),
        go.Scatter(x=sizes, y=draws.mean(dim=0).tolist(), name=f"random edges, mean of {len(draws)}", line=line),
        go.Scatter(x=sizes, y=result.faithfulness.tolist(), name="strongest edges", line={"color": BLUE}),
    ]


@describe.register
def _(result: Circuit) -> str:
    place = result.enough()
    size, kept = int(result.sizes[place]), percent(result.faithfulness[place])
    sure = write_interval(100 * result.faithfulness_interval[:, place])
    control = percent(result.random_faithfulness[:, place].mean())
    verdict = VERDICT[result.n > 1, result.beats_random]
    return (
        f"CMD {short(result.cmd)}{write_interval(result.cmd_interval)} {write_count(result.n)}, against "
        f"{short(result.random_cmd)}{write_interval(result.random_cmd_interval)} for "
        f"{len(result.random_faithfulness)} random circuits of each size{verdict}; the "
        f"{size:,} strongest of {result.wiring.n_edges:,} edges keep {kept}{sure} of the behaviour, as "
        f"many random ones {control} ({result.method}, {result.ablation}, {result.metric}, {SPACED[result.spacing]}, "
        f"seed {result.seed}){warn_of_few(result.n)}."
    )


@table.register
def _(result: Circuit) -> pd.DataFrame:
    rows = pd.DataFrame(result.wiring.names(), columns=["writer", "port", "wire"])
    scores = result.wiring.as_vector(result.scores).cpu()
    order = scores.abs().argsort(descending=True, stable=True)
    rank = torch.empty_like(order).scatter_(0, order, torch.arange(1, len(order) + 1))
    return rows.assign(score=scores.tolist(), rank=rank.tolist()).sort_values("rank", ignore_index=True)
