"""Home: tasks, trained networks and recent runs."""

import streamlit as st

from app import style
from app.state import address
from app.text.escaping import code, escape
from app.widgets import model_card, run_table
from workbench.checkpoints.card import models_folder, names, read_card
from workbench.core.errors import WorkbenchError

TASKS = (
    ("Activations", "Feature maps, attention and any other activation on one input.", "activations", "grid_view"),
    ("Ablation", "How much does the output change when a unit is removed?", "ablation", "content_cut"),
    ("Maximization", "Inputs that activate a unit most, optimized and natural.", "maximization", "imagesmode"),
    ("Circuit", "Trace the edges behind a behaviour and measure their faithfulness.", "circuit", "hub"),
    ("Runs", "Results of this dashboard, the command line and scripts.", "runs", "history"),
)


def task_cards() -> None:
    """Show a card for each task."""
    for column, (title, text, view, icon) in zip(st.columns(len(TASKS)), TASKS, strict=True):
        with column.container(border=True, height="stretch"):
            address.page_link(view, f"**{escape(title)}**", icon)
            st.caption(escape(text))


def zoo() -> None:
    """Show a card for each trained network, grouped by family."""
    found = names()
    st.subheader("The zoo", anchor=False)
    if not found:
        st.info(f"No trained network in {code(models_folder())}. Train one: `workbench train digits_mlp`.")
    ordered = sorted(found, key=lambda name: (rank(name), name))
    for start in range(0, len(ordered), 3):
        for column, name in zip(st.columns(3), ordered[start : start + 3], strict=False):
            with column:
                model_card.card(name)


def rank(name: str) -> int:
    """Return the sort rank of a network's family; unreadable cards come last."""
    try:
        architecture = read_card(name).architecture
    except WorkbenchError:
        return len(style.FAMILIES) + 1
    order = list(style.FAMILIES)
    return order.index(architecture) if architecture in order else len(order)


task_cards()
zoo()
st.subheader("Recent runs", anchor=False)
run_table.show_recent(5)
