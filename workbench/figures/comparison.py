"""Comparison of settings: training curves (mean and range over seeds) and gradient norms by depth."""

from __future__ import annotations

from collections import defaultdict
from statistics import fmean

import pandas as pd
import plotly.graph_objects as go
from plotly.colors import hex_to_rgb
from plotly.subplots import make_subplots

from workbench.figures.alt import describe
from workbench.figures.figure import figure
from workbench.figures.numerals import short
from workbench.figures.table import table
from workbench.figures.theme import SERIES, TEMPLATE
from workbench.training.comparison import Comparison, Variant

DASHES = ("solid", "dash", "dot")
TITLES = ("Loss on the training batches", "Gradient before the first step, by depth")
Points = list[tuple[float, list[float]]]


@figure.register
def _(result: Comparison) -> go.Figure:
    picture = make_subplots(rows=2, cols=1, vertical_spacing=0.16, subplot_titles=TITLES)
    for place, variant in enumerate(result.variants):
        look = {"color": SERIES[place % len(SERIES)], "dash": DASHES[place // len(SERIES) % len(DASHES)]}
        for row, points in ((1, collect_losses(variant, result.by_examples)), (2, collect_gradient_norms(variant))):
            for trace in draw_mean_and_range(points, variant.label, look, legend=row == 1):
                picture.add_trace(trace, row=row, col=1)
    picture.update_xaxes(title_text="examples seen" if result.by_examples else "step", row=1, col=1)
    picture.update_xaxes(type="log" if result.by_examples else "linear", row=1, col=1)
    picture.update_xaxes(title_text="weight, by share of the depth", row=2, col=1)
    picture.update_yaxes(title_text="loss in nats", range=find_loss_range(result), row=1, col=1)
    picture.update_yaxes(title_text="norm", type="log", exponentformat="power", row=2, col=1)
    return picture.update_layout(template=TEMPLATE, height=900)


def collect_losses(variant: Variant, by_examples: bool) -> Points:
    """Collect the training losses of all seeds by step, or by number of examples."""
    scale = variant.batch_size if by_examples else 1
    found: dict[float, list[float]] = defaultdict(list)
    for attempt in variant.attempts:
        for step, loss in attempt.curve.points("train_loss") if attempt.curve.step else ():
            found[float(step * scale)].append(loss)
    return sorted(found.items())


def collect_gradient_norms(variant: Variant) -> Points:
    """Collect the gradient norms of all seeds at each weight, by depth from 0 (first) to 1 (last)."""
    found: dict[float, list[float]] = defaultdict(list)
    for attempt in variant.attempts:
        norms = list(attempt.before.values())
        for place, norm in enumerate(norms):
            if norm:
                found[place / max(1, len(norms) - 1)].append(norm)
    return sorted(found.items())


def draw_mean_and_range(points: Points, label: str, look: dict[str, str], legend: bool) -> list[go.Scatter]:
    """Return traces of the mean over seeds and of their range as a band."""
    x, values = [x for x, _ in points], [some for _, some in points]
    mean = go.Scatter(
        x=x or [None], y=[fmean(some) for some in values] or [None], name=label, line=look, mode="lines",
        legendgroup=label, showlegend=legend,
    )  # fmt: skip
    edge = {"x": x, "mode": "lines", "line": {"width": 0}, "legendgroup": label, "showlegend": False}
    low = go.Scatter(y=[min(some) for some in values], hoverinfo="skip", **edge)
    high = go.Scatter(
        y=[max(some) for some in values], fill="tonexty", opacity=0.2, hoverinfo="skip",
        fillcolor=f"rgba{(*hex_to_rgb(look['color']), 0.15)}",
        **edge,
    )  # fmt: skip
    return [low, high, mean]


def find_loss_range(result: Comparison) -> list[float]:
    """Return an axis range up to the median of the variants' largest losses, so that a diverging one is cut off."""
    highest = sorted(
        max(max(some) for _, some in collect_losses(v, False)) for v in result.variants if collect_losses(v, False)
    )
    return [0.0, 1.05 * highest[len(highest) // 2] if highest else 1.0]


def compute_gradient_ratio(variant: Variant) -> float:
    """Compute the gradient norm at the first weight divided by that at the last, before training, mean over seeds."""
    ends = [list(attempt.before.values()) for attempt in variant.attempts]
    ratios = [norms[0] / norms[-1] for norms in ends if norms and norms[0] is not None and norms[-1]]
    return fmean(ratios) if ratios else float("nan")


@describe.register
def _(result: Comparison) -> str:
    trained = {v.label: fmean(v.accuracies) for v in result.variants if v.accuracies}
    if not trained:
        return f"{result.question} No training has finished yet."
    best, worst = max(trained, key=lambda x: trained[x]), min(trained, key=lambda x: trained[x])
    stopped = ", ".join(v.label for v in result.variants if v.attempts and not v.accuracies)
    ends = (
        f"best {best}, {short(100 * trained[best])} % of the test set; worst {worst}, {short(100 * trained[worst])} %"
    )
    return f"{result.question} {ends}" + (f"; stopped by a loss that is not finite: {stopped}." if stopped else ".")


@table.register
def _(result: Comparison) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "variant": variant.label,
            "seeds": len(variant.attempts),
            "accuracy": fmean(variant.accuracies) if variant.accuracies else None,
            "lowest": min(variant.accuracies, default=None),
            "highest": max(variant.accuracies, default=None),
            "stopped": sum(bool(attempt.error) for attempt in variant.attempts),
            "first over last gradient": compute_gradient_ratio(variant),
        }
        for variant in result.variants
    )
