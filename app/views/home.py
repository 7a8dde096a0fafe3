"""Home: what one can do here, the zoo, and what was computed last."""

import streamlit as st

from app import style
from app.state import address
from app.text.escaping import code, escape
from app.widgets import model_card, run_table
from workbench.checkpoints.card import models_folder, names, read_card
from workbench.core.errors import WorkbenchError

TASKS = (
    (
        "Look inside",
        "One input on its way: feature maps, attention, any activation.",
        "activations",
        "grid_view",
    ),
    (
        "What is a part for?",
        "Remove units, or copy them from another input, and measure.",
        "ablation",
        "content_cut",
    ),
    (
        "What does a unit like?",
        "Optimised inputs beside the strongest natural ones.",
        "maximization",
        "imagesmode",
    ),
    ("Which edges matter?", "Trace a circuit and test whether it is faithful.", "circuit", "hub"),
    ("What was computed?", "Results of this page, the command line and scripts.", "runs", "history"),
)


def task_cards() -> None:
    """Five ways to begin."""
    for column, (title, text, view, icon) in zip(st.columns(len(TASKS)), TASKS, strict=True):
        with column.container(border=True, height="stretch"):
            address.page_link(view, f"**{escape(title)}**", icon)
            st.caption(escape(text))


def zoo() -> None:
    """A card for every trained network, family by family."""
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
    """The place of a network's family; one whose card cannot be read comes last."""
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
