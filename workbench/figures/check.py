"""Check before training: loss on one batch, gradient of each weight, spread of each hook."""

from __future__ import annotations

from dataclasses import asdict

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from workbench.figures.alt import describe
from workbench.figures.figure import figure
from workbench.figures.numerals import short
from workbench.figures.table import table
from workbench.figures.theme import BLUE, GREY, ORANGE, TEMPLATE
from workbench.training.check import TrainingCheck

TITLES = ("Loss on one batch", "Norm of each parameter's gradient before training", "Activations before training")


@figure.register
def _(result: TrainingCheck) -> go.Figure:
    picture = make_subplots(rows=3, cols=1, vertical_spacing=0.15, subplot_titles=TITLES)
    points = [(0, result.first), *result.curve.points("train_loss")]
    picture.add_trace(go.Scatter(x=[x for x, _ in points], y=[y for _, y in points], line_color=BLUE), row=1, col=1)
    for level, what in ((result.chance, "uniform prediction"), (result.floor, "minimum")):
        picture.add_hline(y=level, line={"dash": "dot", "color": GREY}, annotation_text=what, row=1, col=1)
    weights, hooks = result.weights, result.hooks
    bars = go.Bar(x=[w.name for w in weights], y=[w.gradient for w in weights], marker_color=ORANGE)
    picture.add_trace(bars, row=2, col=1)
    spread = {"type": "data", "array": [h.std for h in hooks], "color": BLUE, "thickness": 1}
    middle = go.Scatter(x=[h.name for h in hooks], y=[h.mean for h in hooks], error_y=spread, mode="markers")
    picture.add_trace(middle.update(marker_color=BLUE), row=3, col=1)
    picture.update_xaxes(title_text="step", row=1, col=1)
    picture.update_yaxes(title_text="loss in nats", row=1, col=1)
    picture.update_yaxes(title_text="norm", type="log", exponentformat="power", row=2, col=1)
    picture.update_yaxes(title_text="mean, standard deviation", row=3, col=1)
    return picture.update_layout(template=TEMPLATE, height=1000, showlegend=False)


@describe.register
def _(result: TrainingCheck) -> str:
    last = short(result.curve.last("train_loss"))
    steps = result.curve.step[-1]
    learned = "can overfit one batch" if result.learned else "cannot overfit one batch"
    idle = f" No gradient reaches {', '.join(result.idle)}." if result.idle else ""
    return (
        f"{result.recipe} {learned}: in {steps} steps its loss goes from {short(result.first)} to {last} (minimum "
        f"{short(result.floor)}, uniform prediction {short(result.chance)}).{idle}"
    )


@table.register
def _(result: TrainingCheck) -> pd.DataFrame:
    return pd.DataFrame([asdict(weight) for weight in result.weights])
