"""Activation maximization: optimized inputs of each unit beside its top natural examples."""

import streamlit as st

from app.text.escaping import code, escape
from app.text.technique_help import cost, show_details
from app.widgets import example_view, model_strip, observation_view, parameter_form, result_view, unit_cards
from workbench.experiments.questions.spec import Spec

selection = model_strip.model_strip(default=-1)
with parameter_form.row():
    values = parameter_form.form("maximization", selection.model)
spec = Spec(selection.model, "maximization", selection.inputs, parameters=values.parameters, seed=values.seed)
result = result_view.result_or_run_button(spec, cost("maximization"))
model_strip.share(selection, spec)
if result is not None:
    share, n = (
        100 * result.success.float().mean().item(),
        len(example_view.batch(selection.model, selection.inputs).labels),
    )
    compared = f"above all of {n:,} natural inputs" if n > 1 else "above the one natural input"
    st.markdown(
        f"{len(result.units):,} units of {code(result.hook)}: {share:.0f} % are driven {escape(compared)} "
        f"({code(selection.inputs)}). "
        "People predict a unit's response better from natural examples than from optimized ones, so compare both."
    )
    unit_cards.show_cards(selection.model, result, n)
    with st.expander("As one figure", icon=":material/imagesmode:"):
        result_view.show(result, "search")
    result_view.result_footer(result, spec)
    if selection.modality.acts:
        observation_view.compare_reachable(spec, result)
show_details("maximization")
