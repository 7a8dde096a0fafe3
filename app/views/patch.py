"""Ablate and patch: the effect of removing or replacing each part of an activation."""

import streamlit as st

from app import address, panel, questions, techniques
from app.hooks import hooks
from workbench.experiments.spec import Spec

WHAT = {
    "ablation": "Remove each unit in turn: how far does the metric move?",
    "patching": "Copy each part from the clean run into the corrupted one: how much of the clean behaviour comes back?",
}


def usual_hook(model: str, analysis: str, kind: str) -> str | None:
    """Patching a language model starts with its residual stream (or the source's), layer by layer."""
    stream = {"text": "blocks.*.hook_resid_pre", "pair": "encoder.blocks.*.hook_resid_pre"}.get(kind, "")
    return stream if analysis == "patching" and stream.replace("*", "0") in hooks(model) else None


asked = questions.strip()
analysis = address.pick("Technique", list(WHAT), "technique")
st.caption(WHAT[analysis])
patching = analysis == "patching"
with st.container(border=True):
    columns = st.columns([2, 1] if patching else [1, 2], vertical_alignment="bottom")
    corrupted = ""
    if patching:
        with columns[0]:
            corrupted = questions.choose_corrupted(asked)
    with columns[1 if patching else 0]:
        metric = questions.choose_metric(asked, contrast=patching)
    filled = techniques.form(analysis, asked.model, usual_hook(asked.model, analysis, asked.kind), globs=patching)
spec = Spec(asked.model, analysis, asked.inputs, corrupted, metric, filled.parameters, filled.seed)
questions.share(asked, spec)
result = panel.ask(spec)
if result is not None:
    panel.whole(result, spec)
