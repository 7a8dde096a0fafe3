"""Circuit: the graph to thin out and click, its faithfulness beside random circuits, and the node that was chosen."""

import streamlit as st

from app import address, panel, questions, techniques, tracing
from app.components.circuit import circuit
from workbench.experiments.spec import Spec

COST = "Tracing scores every edge and then runs the network about 15 times, and as often for each random circuit."

asked = questions.strip()
with st.container(border=True):
    left, right = st.columns([2, 1], vertical_alignment="bottom")
    with left:
        corrupted = questions.choose_corrupted(asked)
    with right:
        metric = questions.choose_metric(asked, contrast=True)
    filled = techniques.form("circuit", asked.model)
spec = Spec(asked.model, "circuit", asked.inputs, corrupted, metric, filled.parameters, filled.seed)
result = panel.ask(spec, COST)
if result is not None:
    picture = tracing.picture(result, spec.key)
    st.markdown(tracing.finding(result))
    selected = circuit(picture, key="circuit", selected=st.query_params.get("node"))
    tracing.detail(asked.model, picture, selected)
    panel.below(result, spec)
    if selected:
        address.remember("node", selected)
    tracing.check(spec)
questions.share(asked, spec)
