"""Patching: share of the clean behaviour per patched part, as a heat map."""

from __future__ import annotations

from itertools import product

import pandas as pd
import plotly.graph_objects as go

from workbench.analysis.patching import Patching
from workbench.figures.alt import describe
from workbench.figures.figure import figure
from workbench.figures.interval import caution, over
from workbench.figures.numerals import short
from workbench.figures.table import examples, frame, table
from workbench.figures.theme import BLUE, ORANGE, heat_map_trace, make_figure

VERB = {"denoise": "clean activations into the corrupted run", "noise": "corrupted activations into the clean run"}


@figure.register
def _(result: Patching) -> go.Figure:
    *leading, across = result.axes
    rows = row_names(result)
    where = result.hooks[0] if len(result.hooks) == 1 else f"{len(result.hooks)} hooks"
    values = result.effect.reshape(len(rows), -1)
    columns = [str(i) for i in range(values.shape[1])]
    picture = make_figure(f"{VERB[result.direction].capitalize()} at {where}", across, "")
    if len(rows) == 1:
        heights = values[0].tolist()
        colours = [BLUE if height < 0 else ORANGE for height in heights]
        picture.add_trace(go.Bar(x=columns, y=heights, marker_color=colours))
        return picture.update_layout(yaxis_title_text="share of the clean behaviour")
    picture.add_trace(heat_map_trace(values, columns, rows, "share of the clean behaviour"))
    down = ", ".join((["layer"] if len(result.hooks) > 1 else []) + leading)
    return picture.update_layout(yaxis={"title": {"text": down}, "autorange": "reversed"})


def row_names(result: Patching) -> list[str]:
    """Return one name per hook and index on all axes but the last."""
    sizes = [range(n) for n in result.effect.shape[1:-1]]
    names = []
    for hook, index in product(result.hooks, product(*sizes)):
        inside = " ".join(f"{axis} {i}" for axis, i in zip(result.axes, index, strict=False))
        names.append(" ".join(filter(None, [hook if len(result.hooks) > 1 else "", inside])) or hook)
    return names


@describe.register
def _(result: Patching) -> str:
    best = int(result.effect.argmax()) if result.direction == "denoise" else int(result.effect.argmin())
    places = product(result.hooks, product(*(range(n) for n in result.effect.shape[1:])))
    hook, index = next(place for i, place in enumerate(places) if i == best)
    site = f"{hook}[{','.join(f'{axis}={i}' for axis, i in zip(result.axes, index, strict=True))}]"
    share = f"{short(100 * result.effect.flatten()[best])} %"
    n = len(result.clean)
    ends = f"(from {short(result.corrupted.mean())} corrupted to {short(result.clean.mean())} clean, {over(n)})"
    if result.direction == "denoise":
        found = f"Patching {site} from the clean run restores {share} of the behaviour, more than any other part {ends}"
    else:
        found = (
            f"Patching {site} from the corrupted run leaves {share} of the behaviour, less than any other part {ends}"
        )
    return f"{found}{caution(n)}."


@table.register
def _(result: Patching) -> pd.DataFrame:
    spread = (1,) * (result.effect.ndim) + (-1,)
    columns = {
        "effect": result.effect[..., None],
        "patched": result.patched,
        "clean": result.clean.reshape(spread),
        "corrupted": result.corrupted.reshape(spread),
    }
    rows = examples(frame(("hook", *result.axes, "batch"), columns))
    return rows.assign(hook=[result.hooks[i] for i in rows["hook"]], direction=result.direction)
