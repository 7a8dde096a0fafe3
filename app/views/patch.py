"""Ablate and patch: the effect of removing or replacing each part of an activation."""

import streamlit as st

from app.state import address
from app.widgets import model_strip, parameter_form, result_view
from app.widgets.hook_choice import hooks
from workbench.experiments.questions.spec import Spec

WHAT = {
    "ablation": "Remove each unit in turn: how far does the metric move?",
    "patching": "Copy each part from the clean run into the corrupted one: how much of the clean behaviour comes back?",
}


def usual_hook(model: str, analysis: str, kind: str) -> str | None:
    """Patching a language model starts with its residual stream (or the source's), layer by layer."""
    stream = {"text": "blocks.*.hook_resid_pre", "pair": "encoder.blocks.*.hook_resid_pre"}.get(kind, "")
    return stream if analysis == "patching" and stream.replace("*", "0") in hooks(model) else None


asked = model_strip.model_strip()
analysis = address.pick("Technique", list(WHAT), "technique")
st.caption(WHAT[analysis])
patching = analysis == "patching"
with st.container(border=True):
    columns = st.columns([2, 1] if patching else [1, 2], vertical_alignment="bottom")
    corrupted = ""
    if patching:
        with columns[0]:
            corrupted = model_strip.choose_corrupted(asked)
    with columns[1 if patching else 0]:
        metric = model_strip.choose_metric(asked, contrast=patching)
    filled = parameter_form.form(analysis, asked.model, usual_hook(asked.model, analysis, asked.kind), globs=patching)
spec = Spec(asked.model, analysis, asked.inputs, corrupted, metric, filled.parameters, filled.seed)
model_strip.share(asked, spec)
result = result_view.result_or_run_button(spec)
if result is not None:
    result_view.result_view(result, spec)
