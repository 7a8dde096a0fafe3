"""Circuit: the graph to thin out and click, its faithfulness beside random circuits, and the node that was chosen."""

import streamlit as st

from app.components.circuit import circuit
from app.state import address
from app.text.escaping import escape
from app.widgets import circuit_view, question_bar, result_panel, technique_form
from workbench.experiments.questions.spec import Spec
from workbench.figures.alt import describe

COST = "Tracing scores every edge and then runs the network about 15 times, and as often for each random circuit."

asked = question_bar.strip()
with st.container(border=True):
    left, right = st.columns([2, 1], vertical_alignment="bottom")
    with left:
        corrupted = question_bar.choose_corrupted(asked)
    with right:
        metric = question_bar.choose_metric(asked, contrast=True)
    filled = technique_form.form("circuit", asked.model)
spec = Spec(asked.model, "circuit", asked.inputs, corrupted, metric, filled.parameters, filled.seed)
result = result_panel.ask(spec, COST)
if result is not None:
    picture = circuit_view.picture(result, spec.key)
    st.markdown(escape(describe(result)))
    selected = circuit(
        picture, key=f"circuit {address.visit()}", selected=circuit_view.chosen(picture, address.asked("node"))
    )
    address.remember("node", selected or "", "")
    circuit_view.detail(asked.model, asked.inputs, picture, selected)
    result_panel.below(result, spec)
    circuit_view.check(spec)
question_bar.share(asked, spec)
