"""Dashboard page of the logit lens: predictions at each layer of a network."""

import streamlit as st

from app.widgets import model_strip, result_view
from workbench.experiments.questions.spec import Spec

st.markdown("The network's last stage reads every earlier activation of the right shape.")
selection = model_strip.model_strip(first="induction_gpt")
spec = Spec(selection.model, "logit_lens", selection.inputs)
model_strip.share(selection, spec)
result = result_view.result_or_run_button(spec)
if result is not None:
    st.metric("Hooks that the read-out fits", len(result.hooks) - 1)
    result_view.result_view(result, spec)
