"""Traversal: each unit moved over its range, and what the network makes of it further on."""

import streamlit as st

from app.widgets import model_strip, parameter_form, result_view
from app.widgets.hook_choice import hooks
from workbench.experiments.questions.spec import Spec

LATENT = ("hook_latent", "hook_input")  # hooks that hold a code, in the order of preference


def usual_hook(model: str) -> str | None:
    """Where a network has latents, their hook; None stands for the usual one."""
    known = hooks(model)
    return next((name for name in LATENT if name in known and known[name].unit == "latent"), None)


asked = model_strip.model_strip()
with st.container(border=True):
    filled = parameter_form.form("traversal", asked.model, usual_hook(asked.model))
spec = Spec(asked.model, "traversal", asked.inputs, parameters=filled.parameters)
model_strip.share(asked, spec)
result = result_view.result_or_run_button(spec)
if result is not None:
    result_view.result_view(result, spec)
