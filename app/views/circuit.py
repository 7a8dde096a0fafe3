"""Circuit: interactive graph, faithfulness compared with random circuits, and details of the selected node."""

import streamlit as st

from app.components.circuit import circuit
from app.state import address
from app.text.escaping import escape
from app.text.technique_help import cost, show_details
from app.widgets import circuit_view, model_strip, parameter_form, result_view
from workbench.experiments.questions.spec import Spec
from workbench.figures.alt import describe

selection = model_strip.model_strip()
with parameter_form.row():
    corrupted = model_strip.choose_corrupted(selection)
    metric = model_strip.choose_metric(selection, contrast=True)
    values = parameter_form.form("circuit", selection.model)
spec = Spec(selection.model, "circuit", selection.inputs, corrupted, metric, values.parameters, values.seed)
result = result_view.result_or_run_button(spec, cost("circuit"))
if result is not None:
    picture = circuit_view.picture(result, spec.key)
    st.markdown(escape(describe(result)))
    selected = circuit(
        picture,
        key=f"circuit {address.visit()}",
        selected=circuit_view.requested_node(picture, address.requested("node")),
    )
    address.remember("node", selected or "", "")
    circuit_view.show_node(selection.model, selection.inputs, picture, selected)
    result_view.result_footer(result, spec)
    circuit_view.show_check(spec)
model_strip.share(selection, spec)
show_details("circuit")
