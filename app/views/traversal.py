"""Traversal: each unit moved over its range, and what the network makes of it further on."""

import streamlit as st

from app.widgets import question_bar, result_panel, technique_form
from app.widgets.hook_choice import hooks
from workbench.experiments.questions.spec import Spec

LATENT = ("hook_latent", "hook_input")  # hooks that hold a code, in the order of preference


def usual_hook(model: str) -> str | None:
    """Where a network has latents, their hook; None stands for the usual one."""
    known = hooks(model)
    return next((name for name in LATENT if name in known and known[name].unit == "latent"), None)


asked = question_bar.strip()
with st.container(border=True):
    filled = technique_form.form("traversal", asked.model, usual_hook(asked.model))
spec = Spec(asked.model, "traversal", asked.inputs, parameters=filled.parameters)
question_bar.share(asked, spec)
result = result_panel.ask(spec)
if result is not None:
    result_panel.whole(result, spec)
