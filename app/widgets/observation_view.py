"""Views of the observations that a technique found: counterfactuals, and inputs that maximize a unit."""

from __future__ import annotations

import html
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from app.state import address
from app.text import format
from app.text.escaping import escape
from app.widgets import result_view
from app.widgets.episode_view import as_png, tint
from workbench.analysis.maximization import Maximization
from workbench.analysis.policies.counterfactuals import Counterfactuals
from workbench.analysis.policies.reachable import ReachableMaxima
from workbench.checkpoints.card import Card, read_card
from workbench.core.sites import Site
from workbench.experiments.inputs.observations import action_names, grid, observation_names
from workbench.experiments.questions.spec import Spec

COLUMNS = "grid-template-columns:repeat(auto-fill,minmax(165px,1fr))"
SHOWN = 8
"""Maximum number of states shown; the table has all."""


def show_states(model: str, result: Any) -> None:
    """Show the states of a result, if it has any."""
    card = read_card(model)
    if isinstance(result, Counterfactuals):
        show_counterfactuals(card, result)
    elif isinstance(result, ReachableMaxima):
        show_maxima(card, result)


def show_counterfactuals(card: Card, result: Counterfactuals) -> None:
    """Show observations beside their counterfactuals, smallest change first."""
    order = result.distance.where(result.found, result.distance.new_tensor(np.inf)).argsort()[:SHOWN].tolist()
    named = action_names(card)
    act = [
        named[i] if i < len(named) else f"action {i}"
        for i in range(1 + int(max(result.before.max(), result.after.max())))
    ]
    said = [f"example {i}: {act[int(result.before[i])]} → {act[int(result.after[i])]}" for i in order]
    change = (result.changed - result.observation).numpy()
    if result.observation.ndim == 4:
        pictures = [[grid(card, result.observation[i].numpy()), tint(change[i].sum(axis=0))] for i in order]
        show_picture_pairs(said, pictures, ("observation", "change: orange increases, blue decreases"))
        return
    if card.architecture == "q_table":
        return
    names = observation_names(card, change.shape[1])
    cells = [[f"{format.short(float(result.observation[i, k]))} → {format.short(float(result.changed[i, k]))}"
              for k in range(len(names))] for i in order]  # fmt: skip
    rows = pd.DataFrame(cells, columns=names)
    rows.insert(0, "", said)
    st.dataframe(rows, hide_index=True, alt="What was seen, and the nearest observation with another action")


def show_maxima(card: Card, result: ReachableMaxima) -> None:
    """Show the maximizing observations of each unit: within the box, and reached in the environment."""
    units = range(min(SHOWN, len(result.units)))
    pairs = (result.bounded_observation, result.reached_observation)
    said = [f"{result.axis} {result.units[i]}: {format.short(float(result.bounded[i]))} in the box, "
            f"{format.short(float(result.reachable[i]))} reached" for i in units]  # fmt: skip
    if pairs[0].ndim == 4:
        show_picture_pairs(said, [[grid(card, x[i].numpy()) for x in pairs] for i in units], ("in the box", "reached"))
    elif card.architecture != "q_table":
        names = observation_names(card, pairs[0].shape[1])
        for title, values in zip(("In the box", "Reached in the environment"), pairs, strict=True):
            rows = pd.DataFrame(values[: len(said)].numpy(), columns=names)
            rows.insert(0, result.axis, list(result.units[: len(said)]))
            st.markdown(f"**{escape(title)}**")
            st.dataframe(rows, hide_index=True, alt=f"{title}: the observation that each unit likes best")


def compare_reachable(spec: Spec, result: Maximization) -> None:
    """Compare with maximizing observations that are reached in the environment, on request."""
    if not address.switch("Compare with states that can be reached", "reach"):
        return
    parameters = {"hook": Site.parse(result.hook).hook, "units": list(result.units[:SHOWN])}
    asked = replace(spec, analysis="reachable", parameters=parameters)
    found = result_view.result_or_run_button(asked)
    if found is not None:
        show_states(spec.model, found)
        result_view.result_view(found, asked)


def show_picture_pairs(titles: list[str], pictures: list[list[np.ndarray]], alts: tuple[str, str]) -> None:
    """Show cards with two pictures each."""
    cards = []
    for title, pair in zip(titles, pictures, strict=True):
        images = [
            f'<img alt="{html.escape(alt)}, {html.escape(title)}" style="width:48%" src="{as_png(x)}">'
            for x, alt in zip(pair, alts, strict=True)
        ]
        row = f'<div style="display:flex;justify-content:space-between">{"".join(images)}</div>'
        cards.append(f'<figure class="wb-exhibit"><figcaption><b>{html.escape(title)}</b></figcaption>{row}</figure>')
    st.html(f'<div class="wb-wall" style="{COLUMNS}">{"".join(cards)}</div>')
    st.caption(f"Left: {escape(alts[0])}; right: {escape(alts[1])}.")
