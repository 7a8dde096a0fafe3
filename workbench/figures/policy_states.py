"""States of a policy: counterfactuals, saliency and maximizing states."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
from torch import Tensor

from workbench.analysis.policies.counterfactuals import Counterfactuals
from workbench.analysis.policies.reachable import ReachableMaxima
from workbench.analysis.policies.saliency import Saliency
from workbench.figures.alt import describe
from workbench.figures.figure import figure
from workbench.figures.numerals import short
from workbench.figures.table import table
from workbench.figures.theme import BLUE, GREEN, GREY, ORANGE, heat_map_trace, make_figure


def entry_columns(prefix: str, rows: Tensor) -> dict[str, list[float]]:
    """Return one column per entry of vector observations; none for grids."""
    return {f"{prefix}_{i}": rows[:, i].tolist() for i in range(rows.shape[1])} if rows.ndim == 2 else {}


@figure.register
def _(result: Counterfactuals) -> go.Figure:
    picture = make_figure("Smallest change of the observation that changes the action", "example", "size of the change")
    actions = [f"{a} to {b}" for a, b in zip(result.before.tolist(), result.after.tolist(), strict=True)]
    colours = [BLUE if found else GREY for found in result.found.tolist()]
    picture.add_trace(
        go.Bar(
            x=list(range(len(actions))), y=result.distance.tolist(), marker_color=colours, customdata=actions,
            hovertemplate="example %{x}<br>action %{customdata}<br>size %{y:.3g}<extra></extra>",
        )
    )  # fmt: skip
    return picture


@describe.register
def _(result: Counterfactuals) -> str:
    n = int(result.found.sum())
    if not n:
        return f"No change was found that changes any of {len(result.found)} actions."
    sizes = result.distance.where(result.found, result.distance.new_tensor(float("inf")))
    least = int(sizes.argmin())
    return (
        f"{n} of {len(result.found)} actions can be changed; the median size of the change is "
        f"{short(result.distance[result.found].median())}, and example {least} needs the smallest one "
        f"({short(sizes[least])}, from action {int(result.before[least])} to {int(result.after[least])})."
    )


@table.register
def _(result: Counterfactuals) -> object:
    columns = {name: getattr(result, name).tolist() for name in ("before", "after", "distance", "found")}
    columns |= entry_columns("seen", result.observation) | entry_columns("changed", result.changed)
    return pd.DataFrame({"example": range(len(result.found)), **columns})


@figure.register
def _(result: Saliency) -> go.Figure:
    shown = result.perturbation.detach()
    if shown.ndim == 2:
        picture = make_figure("Contribution of each entry to the metric", "entry", "example")
        names = [[f"{what} {i}" for i in range(n)] for what, n in zip(("example", "entry"), shown.shape, strict=True)]
        picture.add_trace(heat_map_trace(shown, names[1], names[0], "metric"))
    else:
        picture = make_figure("Contribution of each square to the metric, mean over examples", "column", "row")
        summed = shown.sum(dim=1).mean(dim=0)
        names = [[str(i) for i in range(n)] for n in summed.shape]
        picture.add_trace(heat_map_trace(summed, names[1], names[0], "metric"))
    return picture.update_yaxes(autorange="reversed")


@describe.register
def _(result: Saliency) -> str:
    weight = result.perturbation.detach().abs().flatten(2 if result.perturbation.ndim > 2 else 1)
    mean = (weight.sum(dim=1) if weight.ndim == 3 else weight).mean(dim=0)
    place, what = int(mean.argmax()), "entry"
    if result.perturbation.ndim == 4:
        row, column = divmod(place, result.perturbation.shape[3])
        what, place = f"square (row {row}, column {column})", -1
    name = what if place < 0 else f"{what} {place}"
    return (
        f"Removing {name} changes the metric most, by {short(mean.max())} on average over {len(weight)} examples; "
        f"the mean over all is {short(mean.mean())}."
    )


@table.register
def _(result: Saliency) -> object:
    flat = {name: getattr(result, name).detach().flatten(1) for name in ("gradient", "perturbation")}
    n, size = flat["gradient"].shape
    rows = {"example": [i for i in range(n) for _ in range(size)], "entry": list(range(size)) * n}
    return pd.DataFrame(rows | {name: x.flatten().tolist() for name, x in flat.items()})


@figure.register
def _(result: ReachableMaxima) -> go.Figure:
    picture = make_figure(f"Largest activation of units at {result.hook}", result.axis, "activation")
    for name, values, colour in (
        ("in the box spanned by the inputs", result.bounded, ORANGE),
        ("in reachable states", result.reachable, BLUE),
        ("on the inputs", result.natural, GREEN),
    ):
        picture.add_trace(go.Bar(x=[str(u) for u in result.units], y=values.tolist(), name=name, marker_color=colour))
    return picture.update_xaxes(type="category")


@describe.register
def _(result: ReachableMaxima) -> str:
    beyond = int((result.bounded > result.reachable).sum())
    gap = result.bounded - result.reachable
    most = int(gap.argmax())
    return (
        f"{beyond} of {len(result.units)} units reach a higher activation in the box than in any state found in the "
        f"environment; the difference is largest for {result.axis} {result.units[most]}: {short(result.bounded[most])} "
        f"against {short(result.reachable[most])}."
    )


@table.register
def _(result: ReachableMaxima) -> object:
    names = ("natural", "bounded", "reachable", "seeds", "steps")
    columns = {result.axis: list(result.units)} | {name: getattr(result, name).tolist() for name in names}
    columns |= entry_columns("bounded", result.bounded_observation)
    columns |= entry_columns("reached", result.reached_observation)
    return pd.DataFrame(columns)
