"""Model: architecture with clickable hooks, card, hooks table and training curves."""

import html

import pandas as pd
import streamlit as st

from app.components.architecture import diagram
from app.state import address
from app.text import format
from app.text.escaping import code, escape
from app.widgets import model_card, model_strip, result_view
from app.widgets.hook_choice import Hook, anatomy, choose_hook, hooks
from workbench.checkpoints.card import Card, read_card, read_curve, split_step
from workbench.experiments.questions.spec import Spec
from workbench.training.curve import Curve

PLACES = ("place", "files")
"""Entries of a foreign network's card with paths on this machine, which a page does not show."""


def facts(card: Card) -> None:
    """Show the headline metrics and the notes of the card."""
    columns = st.columns(max(2, min(4, len(card.metrics) + 1)))
    columns[0].metric("parameters", format.amount(card.parameters), border=True)
    for column, (name, score) in zip(columns[1:], card.metrics.items(), strict=False):
        value = format.write_score(name, score.value)
        column.metric(escape(format.title(name)), escape(value), border=True, help=escape(format.detail(name, score)))
    if card.note or card.data.note:
        st.info(escape(" ".join(filter(None, (card.note, card.data.note)))), icon=":material/info:")


def provenance(card: Card) -> None:
    """Show the provenance and the configuration as a table."""
    rows = {
        "recipe": card.recipe,
        "data": card.data.name,
        "sha256 of the data": card.data.sha256,
        "seed": card.seed,
        "commit": card.commit,
        "training time": write_training_time(card),
        "licence": card.licence,
        "sha256 of the weights": card.weights_sha256,
    } | {f"config: {name}": value for name, value in card.config.items() if name not in PLACES}
    rows = {name: str(value) for name, value in rows.items() if value != ""}
    table = pd.DataFrame({"entry": rows.keys(), "value": rows.values()})
    st.dataframe(table, hide_index=True, alt=f"The card of this {card.architecture}")


def write_training_time(card: Card) -> str:
    """Return the duration and the hardware of the training, or nothing for a network that was not trained here."""
    if not card.wall_time_seconds:
        return ""
    processes, threads = format.count(card.processes, "process"), format.count(card.threads, "thread")
    return f"{card.wall_time_seconds:,.0f} s, {processes} with {threads}, {card.hardware}"


def chosen(name: str, hook: Hook) -> None:
    """Show the selected hook with links to its techniques."""
    st.markdown(f"**{code(hook.name)}**")
    st.caption(f"{escape(hook.shape)}{' · computed on request' if hook.on_request else ''}")
    query = {"m": name, "hook": hook.name}
    with st.container(horizontal=True):
        for view, label, icon in (
            ("activations", "Its activations", "grid_view"),
            ("ablation", "Ablate it", "content_cut"),
            ("maximization", "Maximize its units", "imagesmode"),
        ):
            address.page_link(view, escape(label), icon, query)


def hook_table(known: dict[str, Hook]) -> pd.DataFrame:
    """Return a table with axes, shape and units of each hook."""
    return pd.DataFrame(
        {
            "hook": list(known),
            "axes": [" ".join(("batch", *hook.sizes)) for hook in known.values()],
            "shape": [" x ".join(map(str, hook.sizes.values())) or "1" for hook in known.values()],
            "units on": [hook.unit or "" for hook in known.values()],
            "on request": [hook.on_request for hook in known.values()],
        }
    )


def training(card: Card, curve: Curve) -> None:
    """Plot the losses and the headline metric, or all series on request."""
    main = [name for name in curve.series if name.endswith("loss") or name == model_card.headline_series(card, curve)]
    everything = len(main) == len(curve.series) or address.switch("All series", "series")
    shown = curve if everything else Curve(curve.step, {name: curve.series[name] for name in main})
    result_view.show_curve(shown, "training")


selection = model_strip.model_strip(inputs=False)
name = selection.model
card, known = read_card(name), hooks(name)
st.html(f'<div class="wb-card">{model_card.chip(card.architecture)} &nbsp; {html.escape(card.title)}</div>')
if (finished := split_step(name)[0]) != name:
    st.info(f"The card and its metrics are those of the finished network {escape(finished)}.")
facts(card)
left, right = st.columns([3, 2], gap="large")
with left:
    st.subheader("Architecture", anchor=False)
    key = f"diagram {address.visit()}"
    pressed = (st.session_state.get(key) or {}).get("hook")
    if pressed in known and pressed != st.session_state.get("pressed", {}).get(key):
        st.session_state["pressed"] = {key: pressed}
        address.put("hook", pressed)
    hook = choose_hook(name)
    diagram(name, anatomy(name), known, hook, key=key)
with right:
    with st.container(border=True):
        chosen(name, known[hook])
    if (curve := read_curve(name)).step:
        st.subheader("Training", anchor=False)
        training(card, curve)
left, right = st.columns([3, 2], gap="large")
with left:
    st.subheader("Hooks", anchor=False)
    st.dataframe(hook_table(known), hide_index=True, alt=f"The {len(known)} hooks of {name}")
with right:
    st.subheader("Card", anchor=False)
    provenance(card)
model_strip.share(selection, Spec(name, "anatomy"))
