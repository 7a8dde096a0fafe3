"""Figure of an episode: value, advantage and surprise at each step."""

from __future__ import annotations

import plotly.graph_objects as go
from plotly.subplots import make_subplots
from torch import Tensor

from workbench.analysis.policies.traces import EpisodeTrace
from workbench.figures.alt import describe
from workbench.figures.figure import figure
from workbench.figures.numerals import short
from workbench.figures.theme import BLUE, GREY, ORANGE, TEMPLATE

PANELS = (("value", "value"), ("advantage", "advantage"), ("surprise", "surprise (nats)"))


@figure.register
def draw_timeline(result: EpisodeTrace, edited: EpisodeTrace | None = None, step: int | None = None) -> go.Figure:
    """Draw value, advantage and surprise over an episode.

    Args:
        result: The episode.
        edited: Episode of an edited policy, drawn in orange.
        step: Step to mark with a vertical line.
    """
    picture = make_subplots(rows=len(PANELS), shared_xaxes=True, vertical_spacing=0.07)
    picture.update_layout(template=TEMPLATE, title="The episode", height=420)
    for trace, name, colour in ((result, "original", BLUE), (edited, "changed", ORANGE)):
        for row, (field, label) in enumerate(PANELS, 1):
            if trace is not None:
                values: Tensor = getattr(trace, field)
                line = {"color": colour, "width": 1.6, "dash": "solid" if colour == BLUE else "dot"}
                picture.add_trace(
                    go.Scatter(x=list(range(len(values))), y=values.tolist(), name=name, line=line, mode="lines",
                               showlegend=row == 1 and edited is not None), row=row, col=1,
                )  # fmt: skip
                picture.update_yaxes(title_text=label, row=row, col=1)
    picture.update_xaxes(title_text="step", row=len(PANELS), col=1)
    if step is not None:
        picture.add_vline(x=step, line={"color": GREY, "width": 1.5, "dash": "dash"})
    return picture


@describe.register
def _(result: EpisodeTrace) -> str:
    end = "terminated" if result.terminated else "was truncated by the time limit"
    most = int(result.surprise.argmax())
    return (
        f"The episode took {len(result.action)} steps, returned {short(result.reward.sum())} and {end}; the value at "
        f"the start was {short(result.value[0])}, and the least likely action was at step {most} "
        f"({short(result.surprise[most])} nats)."
    )
