"""Gallery: for each unit the input it likes best beside the natural ones."""

import streamlit as st

from app.text.escaping import code, escape
from app.text.technique_help import cost, show_details
from app.widgets import example_view, model_strip, parameter_form, result_view, state_view, unit_cards
from workbench.experiments.questions.spec import Spec

asked = model_strip.model_strip(default=-1)
with parameter_form.row():
    filled = parameter_form.form("maximization", asked.model)
spec = Spec(asked.model, "maximization", asked.inputs, parameters=filled.parameters, seed=filled.seed)
result = result_view.result_or_run_button(spec, cost("maximization"))
model_strip.share(asked, spec)
if result is not None:
    share, n = 100 * result.success.float().mean().item(), len(example_view.batch(asked.model, asked.inputs).labels)
    compared = f"above all of {n:,} natural inputs" if n > 1 else "above the one natural input"
    st.markdown(
        f"{len(result.units):,} units of {code(result.hook)}: {share:.0f} % are driven {escape(compared)} "
        f"({code(asked.inputs)}). "
        "People predict a unit better from natural examples than from optimised ones: look at both."
    )
    unit_cards.show_cards(asked.model, result, n)
    with st.expander("As one figure", icon=":material/imagesmode:"):
        result_view.show(result, "search")
    result_view.result_footer(result, spec)
    if asked.kind == "policy":
        state_view.compare_reachable(spec, result)
show_details("maximization")
