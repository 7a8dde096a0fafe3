"""Circuit: the graph to thin out and click, its faithfulness beside random circuits, and the node that was chosen."""

import streamlit as st

from app import address, panel, questions, techniques, tracing
from app.components.circuit import circuit
from app.escaping import escape
from workbench.experiments.spec import Spec
from workbench.figures.alt import describe

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
    st.markdown(escape(describe(result)))
    selected = circuit(
        picture, key=f"circuit {address.visit()}", selected=tracing.chosen(picture, address.asked("node"))
    )
    address.remember("node", selected or "", "")
    tracing.detail(asked.model, asked.inputs, picture, selected)
    panel.below(result, spec)
    tracing.check(spec)
questions.share(asked, spec)
